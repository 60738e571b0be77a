import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION } from "@airlift/protocol/coap/options";
import { concat, decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import type { CoapHandler, ServeOptions, ServerObservation } from "@airlift/runtime/coap";
import { type CoapTcp, openCoapTcp, type TcpPeer } from "@airlift/runtime/coap-tcp";
import type { ServerSecurity } from "@airlift/runtime/tls";
import { createAuthority, fingerprint } from "../certificates.ts";
import {
  COAP_CLIENT,
  COAP_SERVER,
  runClient,
  SECURE_CLIENTS,
  SECURE_SERVERS,
  skipWithout,
  startServer,
  TLS_LIBRARIES,
} from "./libcoap.ts";

const IMAGE = Uint8Array.from({ length: 200_001 }, (_, i) => (i * 31) ^ (i >> 8));
const ETAG = { number: OPTION.etag, value: Uint8Array.of(1, 2, 3) };
const PSK: TransportSecurity = { kind: "psk", identity: "device-1", key: encodeUtf8("0123456789abcdef") };
const folder = mkdtempSync(join(tmpdir(), "airlift-interop-tcp-"));
after(() => rmSync(folder, { recursive: true }));

const withClient = { skip: skipWithout(COAP_CLIENT) };
const withServer = { skip: skipWithout(COAP_SERVER) };

interface OurServer {
  readonly security?: ServerSecurity;
  readonly serve?: ServeOptions<TcpPeer>;
}

async function withOurServer(
  handler: CoapHandler<TcpPeer>,
  run: (authority: string, node: CoapTcp) => Promise<void>,
  { security, serve }: OurServer = {},
): Promise<void> {
  const node = await openCoapTcp({ listen: { host: "127.0.0.1", security } });
  node.serve(handler, serve);
  try {
    await run(`127.0.0.1:${node.address?.port}`, node);
  } finally {
    await node.close();
  }
}

async function withTheirServer(
  args: string[],
  run: (peer: TcpPeer, client: CoapTcp) => Promise<void>,
  { program, security }: { program?: string | undefined; security?: TransportSecurity } = {},
): Promise<void> {
  const server = await startServer(args, program);
  const client = await openCoapTcp();
  try {
    await run(await connectPatiently(client, server.port + (security ? 1 : 0), security), client);
  } finally {
    await client.close();
    server.stop();
  }
}

/** Their server takes a moment to listen. */
async function connectPatiently(client: CoapTcp, port: number, security?: TransportSecurity): Promise<TcpPeer> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await client.connect({ host: "127.0.0.1", port, security });
    } catch (error) {
      if (tries === 40 || (error as { code?: string }).code === "TLS_FAILED") throw error;
      await sleep(50);
    }
  }
}

const imageHandler: CoapHandler<TcpPeer> = () => ({
  ...createResponse(CODE.content, undefined, [ETAG]),
  body: memorySource(IMAGE),
});

for (const args of [[], ["-b", "64"], ["-b", "1024"]]) {
  test(`coap-client ${args.join(" ")} gets a body of 200 kB from our server over TCP`, withClient, async () => {
    await withOurServer(imageHandler, async (authority) => {
      const out = join(folder, "out");
      const { stderr } = await runClient([...args, "-o", out, "-m", "get", `coap+tcp://${authority}/fw`]);
      assert.equal(stderr, "");
      assert.deepEqual(new Uint8Array(readFileSync(out)), IMAGE);
    });
  });
}

for (const args of [[], ["-b", "256"], ["-b", "1024"]]) {
  test(`coap-client ${args.join(" ")} puts a body of 200 kB to our server over TCP`, withClient, async () => {
    const file = join(folder, "in");
    writeFileSync(file, IMAGE);
    const bodies: Uint8Array[] = [];
    const serve: ServeOptions<TcpPeer> = {
      gatherBytes: 300_000,
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
      ({ payload }) => {
        bodies.push(payload.slice());
        return createResponse(CODE.changed);
      },
      async (authority) => void (await runClient([...args, "-f", file, "-m", "put", `coap+tcp://${authority}/fw`])),
      { serve },
    );
    assert.deepEqual(bodies, [IMAGE]);
  });
}

test("coap-client observes a resource of ours over TCP", withClient, async () => {
  let observation: ServerObservation | undefined;
  let ended = (_reason: string): void => {};
  const end = new Promise<string>((resolve) => {
    ended = resolve;
  });
  const handler: CoapHandler<TcpPeer> = (_request, _peer, offer) => {
    observation ??= offer?.accept(ended);
    return createResponse(CODE.content, encodeUtf8("first\n"));
  };
  await withOurServer(handler, async (authority) => {
    const client = runClient(["-s", "1", "-w", "-m", "get", `coap+tcp://${authority}/state`]);
    while (!observation?.isActive) await sleep(20);
    observation.notify(createResponse(CODE.content, encodeUtf8("second")));
    const { stdout } = await client;
    assert.match(stdout.toString(), /first\s+second/);
    assert.match(await end, /deregistered|unreachable/);
  });
});

test("coap-server: get, observe, ping and bodies in both directions over TCP", withServer, async () => {
  await withTheirServer(["-d", "10"], async (peer, client) => {
    const { code, payload } = await client.request(peer, createRequest("get", "/"));
    assert.equal(code, CODE.content);
    assert.match(decodeUtf8(payload) ?? "", /libcoap/);
    await client.ping(peer);
    const put = await client.upload(peer, createRequest("put", "/image"), memorySource(IMAGE));
    assert.equal(put.code, CODE.created);
    const parts: Uint8Array[] = [];
    await client.download(peer, createRequest("get", "/image"), { write: (bytes) => void parts.push(bytes.slice()) });
    assert.deepEqual(concat(parts), IMAGE);
    const inBlocks: Uint8Array[] = [];
    const sink = { write: (bytes: Uint8Array) => void inBlocks.push(bytes.slice()) };
    await client.download(peer, createRequest("get", "/image"), sink, { blockBytes: 512 });
    assert.deepEqual(concat(inBlocks), IMAGE);
    const observation = await client.observe(peer, createRequest("get", "/time"), () => {});
    assert.ok(observation.isActive);
    await observation.cancel();
  });
});

for (const [place, library] of TLS_LIBRARIES.entries()) {
  const client = SECURE_CLIENTS[place];
  const server = SECURE_SERVERS[place];
  const withTheirClient = { skip: skipWithout(client) };
  const withTheirSecureServer = { skip: skipWithout(server) };

  test(`coap-client-${library} gets a body over TLS with PSK; a wrong key gets nothing`, withTheirClient, async () => {
    const seen: (string | undefined)[] = [];
    const handler: CoapHandler<TcpPeer> = (request, peer, offer) => {
      seen.push(peer.identity?.name);
      return imageHandler(request, peer, offer);
    };
    const security = { pskOf: (identity: string) => (identity === PSK.identity ? PSK.key : undefined) };
    await withOurServer(
      handler,
      async (authority) => {
        const out = join(folder, `out-${library}`);
        const get = ["-B", "5", "-o", out, "-m", "get", `coaps+tcp://${authority}/fw`];
        await runClient(["-k", "0123456789abcdef", "-u", PSK.identity, ...get], client);
        assert.deepEqual(new Uint8Array(readFileSync(out)), IMAGE);
        rmSync(out);
        await runClient(["-k", "not the key 1234", "-u", PSK.identity, ...get], client);
        assert.throws(() => readFileSync(out));
        assert.ok(seen.length > 0 && seen.every((identity) => identity === PSK.identity));
      },
      { security },
    );
  });

  test(`coap-client-${library} with a certificate, and our server with one`, withTheirClient, async () => {
    const authority = createAuthority(folder, library);
    const [ours, theirs] = [authority.issue("server"), authority.issue("device")];
    const { certificate, privateKey } = ours;
    await withOurServer(
      imageHandler,
      async (address) => {
        const out = join(folder, `out-cert-${library}`);
        const shown = ["-c", theirs.certificatePath, "-j", theirs.keyPath, "-C", authority.certificatePath];
        await runClient([...shown, "-B", "5", "-o", out, "-m", "get", `coaps+tcp://${address}/fw`], client);
        assert.deepEqual(new Uint8Array(readFileSync(out)), IMAGE);
      },
      { security: { certificate, privateKey, trust: authority.certificate } },
    );
  });

  test(`coap-server-${library} over TLS with PSK`, withTheirSecureServer, async () => {
    await withTheirServer(
      ["-k", "0123456789abcdef"],
      async (peer, node) => {
        assert.equal((await node.request(peer, createRequest("get", "/"))).code, CODE.content);
        await node.ping(peer);
      },
      { program: server, security: PSK },
    );
  });

  test(
    `coap-server-${library} with a certificate: trusted, pinned, and with one of ours`,
    withTheirSecureServer,
    async () => {
      const authority = createAuthority(folder, `${library}-server`);
      const [theirs, ours] = [authority.issue("server"), authority.issue("device")];
      const args = ["-c", theirs.certificatePath, "-j", theirs.keyPath, "-C", authority.certificatePath];
      const own = { certificate: ours.certificate, privateKey: ours.privateKey };
      const get = async (peer: TcpPeer, node: CoapTcp): Promise<void> => {
        assert.equal((await node.request(peer, createRequest("get", "/"))).code, CODE.content);
      };
      const connect = (security: TransportSecurity): Promise<void> =>
        withTheirServer(args, get, { program: server, security });
      await connect({ kind: "certificate", trust: authority.certificate, ...own });
      await connect({ kind: "certificate", pinnedSha256: fingerprint(theirs.certificate), ...own });
      await assert.rejects(connect({ kind: "certificate", pinnedSha256: fingerprint(ours.certificate), ...own }), {
        code: "TLS_FAILED",
      });
      await assert.rejects(connect({ kind: "certificate", ...own }), { code: "TLS_FAILED" });
    },
  );
}
