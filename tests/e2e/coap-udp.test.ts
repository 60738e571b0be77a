import assert from "node:assert/strict";
import { Socket } from "node:dgram";
import { test } from "node:test";
import { blockOption } from "@airlift/protocol/coap/block-option";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { CoapRefusal, createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { concat, decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { CoapHandler, ServeOptions, ServerObservation, TransferProgress } from "@airlift/runtime/coap";
import { type CoapUdp, type CoapUdpOptions, openCoapUdp } from "@airlift/runtime/coap-udp";
import { resolveUdpPeer, type UdpPeer, udpPeer } from "@airlift/runtime/udp";
import { seeded } from "@airlift/sim/world";

const HASTY = {
  endpoint: { transmission: { ackTimeoutMs: 10, ackRandomFactor: 1.5, maxRetransmit: 8 }, ackDelayMs: 5 },
};
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31) ^ (i >> 8));

interface Pair {
  client: CoapUdp;
  server: CoapUdp;
  peer: UdpPeer;
}

async function withPair(
  handler: CoapHandler<UdpPeer>,
  run: (pair: Pair) => Promise<void>,
  options: CoapUdpOptions & { serve?: ServeOptions<UdpPeer> } = HASTY,
): Promise<void> {
  const server = await openCoapUdp({ ...options, host: "127.0.0.1" });
  const client = await openCoapUdp({ ...options, host: "127.0.0.1" });
  server.serve(handler, options.serve);
  try {
    await run({ client, server, peer: udpPeer("127.0.0.1", server.address.port) });
  } finally {
    await Promise.all([client.close(), server.close()]);
  }
}

test("a body that is gathered for too long is given up: its next block is answered 4.08", async () => {
  const refusals: string[] = [];
  const serve: ServeOptions<UdpPeer> = {
    gatherMs: 0,
    onBodyRefused: ({ code, why }) => void refusals.push(`${code} ${why}`),
  };
  await withPair(
    () => createResponse(CODE.changed),
    async ({ client, peer }) => {
      const block = (number: number) =>
        client.request(
          peer,
          createRequest("post", "/rd?ep=slow", {
            payload: bytesOf(16),
            options: [blockOption(OPTION.block1, { number, more: true, sizeBytes: 16 })],
          }),
        );
      assert.equal((await block(0)).code, CODE.continue);
      assert.equal((await block(1)).code, CODE.requestEntityIncomplete);
      assert.deepEqual(refusals, [`${CODE.requestEntityIncomplete} the body takes too long`]);
    },
    { ...HASTY, serve },
  );
});

test("an answer whose blocks take too long is cut off", async () => {
  await withPair(
    () => createResponse(CODE.content, bytesOf(5_000)),
    async ({ client, peer }) => {
      await assert.rejects(client.requestWhole(peer, createRequest("get", "/long"), { maxMs: -1 }), {
        code: "BODY_TOO_SLOW",
      });
    },
  );
});

test("an answer at once and an answer later both arrive", async () => {
  const handler: CoapHandler<UdpPeer> = ({ options }) => {
    const text = createResponse(CODE.content, encodeUtf8(uriPath(options).join(",")));
    return uriPath(options)[0] === "slow" ? new Promise((resolve) => setTimeout(resolve, 30, text)) : text;
  };
  await withPair(handler, async ({ client, peer }) => {
    for (const path of ["/now/here", "/slow"]) {
      const { code, payload } = await client.request(peer, createRequest("get", path));
      assert.deepEqual([code, decodeUtf8(payload)], [CODE.content, path.slice(1).replace("/", ",")]);
    }
  });
});

test("a handler's refusal is sent, its mistake becomes 5.00 and is reported, and without one there is 4.04", async () => {
  const errors: unknown[] = [];
  const handler: CoapHandler<UdpPeer> = ({ options }) => {
    if (uriPath(options)[0] === "no") throw new CoapRefusal(createResponse(CODE.forbidden));
    throw new Error("mistake");
  };
  const options = { ...HASTY, serve: { onError: (error: unknown) => errors.push(error) } };
  await withPair(
    handler,
    async ({ client, server, peer }) => {
      assert.equal((await client.request(peer, createRequest("get", "/no"))).code, CODE.forbidden);
      assert.equal((await client.request(peer, createRequest("get", "/bug"))).code, CODE.internalServerError);
      assert.equal(errors.length, 1);
      const back = udpPeer("127.0.0.1", client.address.port);
      assert.equal((await server.request(back, createRequest("get", "/"))).code, CODE.notFound);
    },
    options,
  );
});

test("bodies in both directions over a link that loses every tenth datagram", async () => {
  const image = bytesOf(20_000);
  const random = seeded(11);
  const etag = { number: OPTION.etag, value: Uint8Array.of(7) };
  const received: Uint8Array[] = [];
  const serve: ServeOptions<UdpPeer> = {
    receive: () => ({
      write: async (bytes) => void received.push(bytes.slice()),
      finish: () => createResponse(CODE.changed),
      abort: () => assert.fail("aborted"),
    }),
  };
  const handler: CoapHandler<UdpPeer> = () => ({
    ...createResponse(CODE.content, undefined, [etag]),
    body: { sizeBytes: image.length, read: async (offset, length) => image.subarray(offset, offset + length) },
  });
  const options = { ...HASTY, serve, loss: () => random() < 0.1 };
  await withPair(
    handler,
    async ({ client, peer }) => {
      const parts: Uint8Array[] = [];
      const sink = { write: (bytes: Uint8Array) => void parts.push(bytes.slice()) };
      const seen: TransferProgress[] = [];
      const onProgress = (progress: TransferProgress) => void seen.push(progress);
      const result = await client.download(peer, createRequest("get", "/fw"), sink, { onProgress });
      assert.deepEqual(result, { sizeBytes: image.length, etag: Uint8Array.of(7) });
      assert.deepEqual(concat(parts), image);
      const last = seen.at(-1);
      assert.deepEqual([last?.bytes, last?.sizeBytes], [image.length, image.length]);
      assert.ok(last && last.retransmissionCount > 0);
      const answer = await client.upload(peer, createRequest("put", "/fw"), memorySource(image), { blockBytes: 512 });
      assert.equal(answer.code, CODE.changed);
      assert.deepEqual(concat(received), image);
    },
    options,
  );
});

test("an ordinary handler gets a small body whole and refuses one above the limit with 4.13", async () => {
  const lengths: number[] = [];
  const handler: CoapHandler<UdpPeer> = ({ payload }) => {
    lengths.push(payload.length);
    return createResponse(CODE.changed);
  };
  await withPair(handler, async ({ client, peer }) => {
    const put = createRequest("put", "/x");
    await client.upload(peer, put, memorySource(bytesOf(5_000)));
    assert.deepEqual(lengths, [5_000]);
    await assert.rejects(client.upload(peer, put, memorySource(bytesOf(70_000))), { facts: { status: "4.13" } });
  });
});

test("a request of a whole gathers what comes in blocks, and gives an error code as a response", async () => {
  const body = bytesOf(3_000);
  const handler: CoapHandler<UdpPeer> = ({ options, payload }) => {
    if (uriPath(options)[0] === "no") return createResponse(CODE.notFound);
    return createResponse(payload.length > 0 ? CODE.changed : CODE.content, payload.length > 0 ? undefined : body);
  };
  await withPair(handler, async ({ client, peer }) => {
    assert.deepEqual((await client.requestWhole(peer, createRequest("get", "/list"))).payload, body);
    assert.equal((await client.requestWhole(peer, createRequest("post", "/x", { payload: body }))).code, CODE.changed);
    assert.equal((await client.requestWhole(peer, createRequest("get", "/no"))).code, CODE.notFound);
    const tooLong = client.requestWhole(peer, createRequest("get", "/list"), { maxBytes: 2_999 });
    await assert.rejects(tooLong, { code: "BODY_TOO_LARGE" });
    await client.ping(peer);
  });
});

test("observation: notifications arrive, cancelling ends both sides", async () => {
  let observation: ServerObservation | undefined;
  const ends: string[] = [];
  const handler: CoapHandler<UdpPeer> = (_request, _peer, offer) => {
    observation ??= offer?.accept((reason) => ends.push(reason));
    return createResponse(CODE.content, encodeUtf8("0"));
  };
  await withPair(handler, async ({ client, server, peer }) => {
    const texts: (string | undefined)[] = [];
    let arrived = (): void => {};
    const observing = await client.observe(peer, createRequest("get", "/state"), ({ payload }) => {
      texts.push(decodeUtf8(payload));
      arrived();
    });
    assert.ok(observing.isActive && observation?.isActive);
    for (const confirmable of [true, false]) {
      const arrival = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      observation.notify(createResponse(CODE.content, encodeUtf8(String(confirmable))), { confirmable });
      await arrival;
    }
    assert.deepEqual(texts, ["true", "false"]);
    await observing.cancel();
    assert.deepEqual([ends, observation.isActive, server.load.observers], [["deregistered"], false, 0]);
  });
});

test("closing settles every promise; aborting settles its own", async () => {
  await withPair(
    () => new Promise(() => {}),
    async ({ client, peer }) => {
      const waiting = client.request(peer, createRequest("get", "/"));
      const aborted = client.request(peer, createRequest("get", "/"), {
        signal: AbortSignal.abort(new Error("enough")),
      });
      await assert.rejects(aborted, { message: "enough" });
      await client.close();
      await assert.rejects(waiting, { code: "COAP_CLOSED" });
      const { signal } = new AbortController();
      await assert.rejects(client.request(peer, createRequest("get", "/"), { signal }), { code: "COAP_CLOSED" });
      await assert.rejects(
        client.observe(peer, createRequest("get", "/"), () => {}),
        { code: "COAP_CLOSED" },
      );
      await assert.rejects(client.request(peer, createRequest("get", "/")), { code: "COAP_CLOSED" });
    },
  );
});

test("a socket connected to a port where nobody listens fails at once with COAP_UNREACHABLE", async () => {
  const gone = await openCoapUdp({ host: "127.0.0.1" });
  const peer = udpPeer("127.0.0.1", gone.address.port);
  await gone.close();
  const client = await openCoapUdp({ connect: peer });
  await assert.rejects(client.request(peer, createRequest("get", "/")), { code: "COAP_UNREACHABLE" });
  await client.close();
});

test("a name is looked up once, brackets of an IPv6 literal are taken off", async () => {
  assert.equal((await resolveUdpPeer("localhost", 5683)).port, 5683);
  assert.equal((await resolveUdpPeer("[::1]", 5683)).address, "::1");
  for (const host of ["localhost", "::1"]) {
    const node = await openCoapUdp({ host });
    await node.ping(await resolveUdpPeer(host, node.address.port));
    const { port } = node.address;
    await assert.rejects(openCoapUdp({ host, port }), {
      code: "PORT_IN_USE",
      message: `UDP port ${host}:${port} is used by another program`,
    });
    await node.close();
  }
  await assert.rejects(resolveUdpPeer("no-such-host.invalid", 1), { code: "HOST_UNKNOWN" });
  await assert.rejects(openCoapUdp({ host: "203.0.113.9" }), { code: "NO_SUCH_ADDRESS" });
});

test("RFC 7959 §2.2: the reserved block size exponent 7 is 4.00, in Block1 and in Block2", async () => {
  await withPair(
    () => createResponse(CODE.content),
    async ({ client, peer }) => {
      for (const [method, number] of [
        ["put", OPTION.block1],
        ["get", OPTION.block2],
      ] as const) {
        const request = createRequest(method, "/", { options: [uintOption(number, 7)] });
        assert.equal((await client.request(peer, request)).code, CODE.badRequest);
      }
    },
  );
});

test("RFC 6335 §6: a request from the reserved port 0 cannot be answered, and is dropped", async (t) => {
  const bound: Socket[] = [];
  const bind = Socket.prototype.bind;
  t.mock.method(Socket.prototype, "bind", function (this: Socket, ...args: unknown[]) {
    bound.push(this);
    return Reflect.apply(bind, this, args);
  });
  const handled: string[] = [];
  const handler: CoapHandler<UdpPeer> = (_, { address }) => {
    handled.push(address);
    return createResponse(CODE.content);
  };
  await withPair(handler, async ({ client, peer }) => {
    const forged = Buffer.of(0x40, 0x01, 0x12, 0x34);
    bound[0]?.emit("message", forged, { address: "192.0.2.1", family: "IPv4", port: 0, size: forged.length });
    assert.equal((await client.request(peer, createRequest("get", "/"))).code, CODE.content);
    assert.deepEqual(handled, ["127.0.0.1"]);
  });
});
