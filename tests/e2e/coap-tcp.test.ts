import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { pathOptions, uriPath } from "@airlift/protocol/coap/options";
import { encodeCsm } from "@airlift/protocol/coap/signals";
import { TcpDecoder } from "@airlift/protocol/coap/tcp-decoder";
import { encodeTcpMessage, type TcpMessage } from "@airlift/protocol/coap/tcp-message";
import { concat, decodeUtf8, EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { CoapHandler, ServeOptions, ServerObservation } from "@airlift/runtime/coap";
import { type CoapTcp, type CoapTcpOptions, openCoapTcp, type TcpPeer } from "@airlift/runtime/coap-tcp";

const LOCAL = { host: "127.0.0.1" };
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31) ^ (i >> 8));

interface Pair {
  readonly client: CoapTcp;
  readonly server: CoapTcp;
  readonly peer: TcpPeer;
  readonly port: number;
}

async function withPair(
  handler: CoapHandler<TcpPeer>,
  run: (pair: Pair) => Promise<void>,
  options: CoapTcpOptions & { readonly serve?: ServeOptions<TcpPeer> } = {},
): Promise<void> {
  const server = await openCoapTcp({ listen: LOCAL, ...options });
  const client = await openCoapTcp();
  server.serve(handler, options.serve);
  const port = server.address?.port ?? 0;
  try {
    await run({ client, server, peer: await client.connect({ ...LOCAL, port }), port });
  } finally {
    await client.close();
    await server.close();
  }
}

const CSM = encodeCsm({ maxMessageBytes: 1_000_000, isBlockwise: true });
const get = (token: number, path: string): Uint8Array =>
  encodeTcpMessage({
    code: METHOD.get,
    token: Uint8Array.of(token >> 8, token),
    options: pathOptions(path),
    payload: EMPTY,
  });

/** A peer that knows nothing but octets; what it has read as messages. */
async function openRaw(port: number): Promise<{ socket: Socket; messages: TcpMessage[] }> {
  const socket = connect({ ...LOCAL, port });
  const messages: TcpMessage[] = [];
  const decoder = new TcpDecoder(2_000_000);
  socket.on("error", () => undefined);
  socket.on("data", (data: Buffer) => {
    decoder.push(Uint8Array.from(data));
    for (let next = decoder.next(); next; next = decoder.next()) messages.push(next);
  });
  await once(socket, "connect");
  return { socket, messages };
}

test("both ends ask and answer over one connection, small and whole bodies in both directions", async () => {
  const received: Uint8Array[] = [];
  const image = bytesOf(300_000);
  const handler: CoapHandler<TcpPeer> = ({ options, payload }) => {
    if (uriPath(options)[0] === "fw") return { ...createResponse(CODE.content), body: memorySource(image) };
    return createResponse(CODE.changed, payload);
  };
  let caller: TcpPeer | undefined;
  const serve: ServeOptions<TcpPeer> = {
    receive: (_request, peer) => {
      caller = peer;
      return {
        write: async (bytes) => void received.push(bytes.slice()),
        finish: () => createResponse(CODE.changed),
        abort: () => assert.fail("aborted"),
      };
    },
  };
  await withPair(
    handler,
    async ({ client, server, peer }) => {
      const echo = await client.request(peer, createRequest("post", "/echo", { payload: encodeUtf8("hello") }));
      assert.equal(decodeUtf8(echo.payload), "hello");
      const parts: Uint8Array[] = [];
      const sink = { write: (bytes: Uint8Array) => void parts.push(bytes.slice()) };
      const { sizeBytes } = await client.download(peer, createRequest("get", "/fw"), sink, { offset: 100_001 });
      assert.equal(sizeBytes, image.length);
      assert.deepEqual(concat(parts), image.subarray(100_001));
      await client.upload(peer, createRequest("put", "/fw"), memorySource(image));
      assert.deepEqual(concat(received), image);
      client.serve(() => createResponse(CODE.content, encodeUtf8("the other way")));
      const back = await server.request(caller ?? assert.fail(), createRequest("get", "/"));
      assert.equal(decodeUtf8(back.payload), "the other way");
      await client.ping(peer);
    },
    { serve },
  );
});

test("observation over a connection ends with it, on both sides", async () => {
  let observation: ServerObservation | undefined;
  let ended = (_reason: string): void => {};
  const end = new Promise<string>((resolve) => {
    ended = resolve;
  });
  const handler: CoapHandler<TcpPeer> = (_request, _peer, offer) => {
    observation = offer?.accept(ended);
    return createResponse(CODE.content, encodeUtf8("0"));
  };
  await withPair(handler, async ({ client, server, peer }) => {
    const texts: (string | undefined)[] = [];
    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let over = (): void => {};
    const onEnd = new Promise<void>((resolve) => {
      over = resolve;
    });
    await client.observe(
      peer,
      createRequest("get", "/state"),
      ({ payload }) => {
        texts.push(decodeUtf8(payload));
        if (texts.length === 2) arrived();
      },
      { onEnd: over },
    );
    for (const text of ["1", "2"]) observation?.notify(createResponse(CODE.content, encodeUtf8(text)));
    await arrival;
    assert.deepEqual(texts, ["1", "2"]);
    client.disconnect(peer);
    assert.equal(await end, "unreachable");
    await onEnd;
    assert.deepEqual([server.load.observers, server.load.connections], [0, 0]);
  });
});

test("a connection that goes away fails what waits on it, and what is asked later", async () => {
  await withPair(
    () => new Promise(() => {}),
    async ({ client, server, peer }) => {
      const waiting = assert.rejects(client.request(peer, createRequest("get", "/")), { code: "COAP_UNREACHABLE" });
      await client.ping(peer);
      await server.close();
      await waiting;
      await assert.rejects(client.request(peer, createRequest("get", "/")), { code: "COAP_UNREACHABLE" });
    },
  );
});

test("no server, a server that says nothing, one that hangs up, and a caller that has had enough", async () => {
  const client = await openCoapTcp();
  const gone = await openCoapTcp({ listen: LOCAL });
  const port = gone.address?.port ?? 0;
  await gone.close();
  await assert.rejects(client.connect({ ...LOCAL, port }), { code: "CONNECTION_LOST" });
  await assert.rejects(client.connect({ host: "no-such-host.invalid", port }), { code: "HOST_UNKNOWN" });
  const { createServer } = await import("node:net");
  const mute = createServer((socket) => void socket.on("error", () => undefined));
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const target = { ...LOCAL, port: (mute.address() as { port: number }).port };
  await assert.rejects(client.connect({ ...target, timeoutMs: 50 }), { code: "CONNECTION_LOST" });
  const signal = AbortSignal.timeout(50);
  await assert.rejects(client.connect({ ...target, signal }), { name: "TimeoutError" });
  await assert.rejects(client.connect({ ...target, signal }), { name: "TimeoutError" });
  mute.close();
  await client.close();
  const full = await openCoapTcp({ listen: LOCAL, endpoint: { connections: 0 } });
  const other = await openCoapTcp();
  const place = { ...LOCAL, port: full.address?.port ?? 0 };
  await assert.rejects(other.connect(place), { code: "CONNECTION_LOST" });
  await Promise.all([other.close(), full.close()]);
});

test("ten thousand requests in one go are all answered, in order, without a deep stack", async () => {
  const count = 10_000;
  await withPair(
    () => createResponse(CODE.content),
    async ({ port }) => {
      const { socket, messages } = await openRaw(port);
      socket.write(concat([CSM, ...Array.from({ length: count }, (_, i) => get(i, "/"))]));
      while (messages.length < count + 1) await once(socket, "data");
      const tokens = messages.slice(1).map(({ token }) => ((token[0] ?? 0) << 8) | (token[1] ?? 0));
      assert.deepEqual(
        tokens,
        Array.from({ length: count }, (_, i) => i),
      );
      socket.destroy();
    },
  );
});

test("a peer that asks for much and reads nothing is served no further, costs little, and is given up", async () => {
  const image = bytesOf(4_000_000);
  let readBytes = 0;
  let gone = (_reason: string): void => {};
  const given = new Promise<string>((resolve) => {
    gone = resolve;
  });
  const body = {
    sizeBytes: image.length,
    read: (offset: number, length: number) => {
      readBytes += length;
      return image.subarray(offset, offset + length);
    },
  };
  await withPair(
    () => ({ ...createResponse(CODE.content), body }),
    async ({ client, server, port }) => {
      const { socket } = await openRaw(port);
      socket.pause();
      socket.write(concat([CSM, ...Array.from({ length: 3_000 }, (_, i) => get(i, "/fw"))]));
      assert.equal(await given, "stalled");
      // The kernel's own buffers take some megabytes of 190.
      assert.ok(readBytes < 20_000_000, `${readBytes} octets were read for it`);
      assert.ok(server.load.unsentBytes < 2_000_000);
      socket.destroy();
      assert.equal(client.load.connections, 1, "others are not concerned");
    },
    { endpoint: { stallTimeoutMs: 100 }, onDisconnect: (_peer, reason) => gone(reason) },
  );
});

test("what is unsent has a limit in all: the connection that adds to more is cut off", async () => {
  let gone = (_reason: string): void => {};
  const lost = new Promise<string>((resolve) => {
    gone = resolve;
  });
  await withPair(
    () => createResponse(CODE.content, new Uint8Array(60_000)),
    async ({ server, port }) => {
      const { socket } = await openRaw(port);
      socket.pause();
      socket.write(concat([CSM, ...Array.from({ length: 3_000 }, (_, i) => get(i, "/fw"))]));
      assert.equal(await lost, "lost");
      assert.ok(server.load.unsentBytes <= 60_100, `${server.load.unsentBytes}`);
      socket.destroy();
    },
    { unsentBytes: 60_000, onDisconnect: (_peer, reason) => gone(reason) },
  );
});

test("garbage ends its own connection with an Abort, and no other", async () => {
  await withPair(
    () => createResponse(CODE.content),
    async ({ client, peer, port }) => {
      for (const garbage of [Uint8Array.of(0x0f, 1, 2, 3), new Uint8Array(100).fill(0xff), get(1, "/")]) {
        const { socket, messages } = await openRaw(port);
        socket.write(garbage);
        await once(socket, "close");
        assert.deepEqual(
          messages.map(({ code }) => code),
          [0xe1, 0xe5],
        );
      }
      assert.equal((await client.request(peer, createRequest("get", "/"))).code, CODE.content);
    },
  );
});

test("closing settles every promise, and may be called twice", async () => {
  await withPair(
    () => new Promise(() => {}),
    async ({ client, peer }) => {
      const waiting = assert.rejects(client.request(peer, createRequest("get", "/")), { code: "COAP_CLOSED" });
      await client.close();
      await waiting;
      await client.close();
    },
  );
});
