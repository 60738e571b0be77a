import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION } from "@airlift/protocol/coap/options";
import { concat, decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { CoapHandler, ServeOptions, ServerObservation } from "@airlift/runtime/coap";
import { type CoapUdp, openCoapUdp } from "@airlift/runtime/coap-udp";
import { type UdpPeer, udpPeer } from "@airlift/runtime/udp";
import { COAP_CLIENT, COAP_SERVER, runClient, skipWithout, startServer } from "./libcoap.ts";

const IMAGE = Uint8Array.from({ length: 20_001 }, (_, i) => (i * 31) ^ (i >> 8));
const ETAG = { number: OPTION.etag, value: Uint8Array.of(1, 2, 3) };
const folder = mkdtempSync(join(tmpdir(), "airlift-interop-"));
after(() => rmSync(folder, { recursive: true }));

const withClient = { skip: skipWithout(COAP_CLIENT) };
const withServer = { skip: skipWithout(COAP_SERVER) };

async function withOurServer(
  handler: CoapHandler<UdpPeer>,
  run: (uri: string, node: CoapUdp) => Promise<void>,
  serve: ServeOptions<UdpPeer> = {},
): Promise<void> {
  const node = await openCoapUdp({ host: "127.0.0.1" });
  node.serve(handler, serve);
  try {
    await run(`coap://127.0.0.1:${node.address.port}`, node);
  } finally {
    await node.close();
  }
}

async function withTheirServer(args: string[], run: (peer: UdpPeer, node: CoapUdp) => Promise<void>): Promise<void> {
  const server = await startServer(args);
  const node = await openCoapUdp({ host: "127.0.0.1", endpoint: { transmission: HASTY } });
  try {
    await run(udpPeer("127.0.0.1", server.port), node);
  } finally {
    await node.close();
    server.stop();
  }
}

const HASTY = { ackTimeoutMs: 200, ackRandomFactor: 1.5, maxRetransmit: 8 };
const imageHandler: CoapHandler<UdpPeer> = () => ({
  ...createResponse(CODE.content, undefined, [ETAG]),
  body: memorySource(IMAGE),
});

for (const args of [[], ["-b", "16"], ["-b", "64"], ["-b", "256"], ["-b", "1024"], ["-N"]]) {
  test(`coap-client ${args.join(" ")} gets a body of 20 kB from our server`, withClient, async () => {
    await withOurServer(imageHandler, async (uri) => {
      const { stdout, stderr } = await runClient([...args, "-o", join(folder, "out"), "-m", "get", `${uri}/fw`]);
      assert.equal(stderr, "");
      assert.equal(stdout.length, 0);
      assert.deepEqual(new Uint8Array(readFileSync(join(folder, "out"))), IMAGE);
    });
  });
}

test("coap-client that loses datagrams 2 and 7 gets the body all the same", withClient, async () => {
  await withOurServer(imageHandler, async (uri) => {
    await runClient(["-l", "2,7", "-o", join(folder, "lossy"), "-m", "get", `${uri}/fw`]);
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "lossy"))), IMAGE);
  });
});

for (const args of [
  ["-b", "16"],
  ["-b", "64"],
  ["-b", "256"],
  ["-b", "1024"],
  ["-b", "1024", "-l", "2,5"],
]) {
  for (const blockBytes of args.includes("-l") ? [1024] : [1024, 32]) {
    test(
      `coap-client ${args.join(" ")} puts a body of 20 kB to our server, that wishes blocks of ${blockBytes}`,
      withClient,
      async () => {
        const file = join(folder, "in");
        writeFileSync(file, IMAGE);
        const bodies: Uint8Array[] = [];
        const serve: ServeOptions<UdpPeer> = {
          blockBytes,
          receive: () => {
            const parts: Uint8Array[] = [];
            return {
              write: async (bytes) => void parts.push(bytes.slice()),
              finish: () => {
                bodies.push(concat(parts));
                return createResponse(CODE.changed);
              },
              abort: () => assert.fail("aborted"),
            };
          },
        };
        await withOurServer(
          () => assert.fail("not as a whole"),
          async (uri) => void (await runClient([...args, "-f", file, "-m", "put", `${uri}/fw`])),
          serve,
        );
        assert.deepEqual(bodies, [IMAGE]);
      },
    );
  }
}

test("coap-client observes a resource of ours", withClient, async () => {
  let observation: ServerObservation | undefined;
  const ends: string[] = [];
  const handler: CoapHandler<UdpPeer> = (_request, _peer, offer) => {
    observation ??= offer?.accept((reason) => ends.push(reason));
    return createResponse(CODE.content, encodeUtf8("first\n"));
  };
  await withOurServer(handler, async (uri) => {
    const running = runClient(["-s", "2", "-m", "get", `${uri}/state`]);
    while (observation === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const [text, confirmable] of [
      ["second\n", true],
      ["third\n", false],
    ] as const) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      observation.notify(createResponse(CODE.content, encodeUtf8(text)), { confirmable });
    }
    const { stdout } = await running;
    assert.match(stdout.toString(), /first\s+second\s+third/);
    assert.deepEqual(ends, ["deregistered"]);
  });
});

for (const blockBytes of [16, 64, 256, 1024]) {
  test(`our client puts and gets 20 kB to and from coap-server in blocks of ${blockBytes}`, withServer, async () => {
    await withTheirServer([], async (peer, node) => {
      const put = createRequest("put", "/example_data");
      const answer = await node.upload(peer, put, memorySource(IMAGE), { blockBytes });
      assert.ok([CODE.created, CODE.changed].some((code) => code === answer.code));
      const parts: Uint8Array[] = [];
      const sink = { write: (bytes: Uint8Array) => void parts.push(bytes.slice()) };
      const result = await node.download(peer, createRequest("get", "/example_data"), sink, { blockBytes });
      assert.deepEqual(concat(parts), IMAGE);
      assert.equal(result.sizeBytes, IMAGE.length);
      const rest: Uint8Array[] = [];
      const tail = { write: (bytes: Uint8Array) => void rest.push(bytes.slice()) };
      await node.download(peer, createRequest("get", "/example_data"), tail, {
        offset: 5_000,
        etag: result.etag,
        blockBytes,
      });
      assert.deepEqual(concat(rest), IMAGE.subarray(5_000));
    });
  });
}

test("our client gets through to a coap-server that loses datagrams 2, 5 and 9", withServer, async () => {
  await withTheirServer(["-l", "2,5,9"], async (peer, node) => {
    let retransmissionCount = 0;
    const onProgress = (progress: { retransmissionCount: number }): void => {
      retransmissionCount = progress.retransmissionCount;
    };
    const answer = await node.upload(peer, createRequest("put", "/example_data"), memorySource(IMAGE), { onProgress });
    assert.equal(answer.code, CODE.created);
    assert.ok(retransmissionCount >= 3);
  });
});

test("our client observes the clock of coap-server, and gets a separate response", withServer, async () => {
  await withTheirServer([], async (peer, node) => {
    const times: (string | undefined)[] = [];
    let ticked = (): void => {};
    const observation = await node.observe(peer, createRequest("get", "/time"), ({ payload }) => {
      times.push(decodeUtf8(payload));
      ticked();
    });
    assert.ok(observation.isActive);
    while (times.length < 2)
      await new Promise<void>((resolve) => {
        ticked = resolve;
      });
    await observation.cancel();
    assert.equal(new Set(times).size, times.length);
    const separate = await node.request(peer, createRequest("get", "/async?1"));
    assert.equal(decodeUtf8(separate.payload), "done");
  });
});
