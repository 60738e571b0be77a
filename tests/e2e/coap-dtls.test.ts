/** CoAP over DTLS between our own ends, over real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { uriPath } from "@airlift/protocol/coap/options";
import { concat, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { CoapHandler, ServerObservation } from "@airlift/runtime/coap";
import { CoapNode } from "@airlift/runtime/coap-node";
import { type DtlsEvent, type DtlsPeer, type DtlsServerOptions, openDtlsServer } from "@airlift/runtime/dtls";
import { type DtlsClient, openDtlsClient } from "@airlift/runtime/dtls-client";
import { Gateway } from "./gateway.ts";

const HOST = "127.0.0.1";
const IDENTITY = "device-7";
const KEY = encodeUtf8("sixteen octets!!");
const image = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) ^ (i >> 8));
const timing = { retransmitMs: 50, maxRetransmitMs: 200, retransmissions: 4, suspicionMs: 50, lookUpMs: 1_000 };

async function openServer(handler: CoapHandler<DtlsPeer>, options: Partial<DtlsServerOptions> = {}) {
  const events: DtlsEvent[] = [];
  const dtls = await openDtlsServer({
    udp: { host: HOST, port: options.udp?.port },
    credentials: { psk: async (identity) => (identity === IDENTITY ? KEY : undefined) },
    limits: { timing },
    onEvent: (event) => void events.push(event),
    ...options,
  });
  const node = new CoapNode<DtlsPeer>(dtls);
  node.serve(handler, { onError: (error) => assert.fail(String(error)) });
  return { dtls, node, events, kinds: () => events.map(({ kind }) => kind) };
}

async function openClient(
  port: number,
  key = KEY,
): Promise<{ dtls: DtlsClient; node: CoapNode<DtlsClient["server"]>; lines: string[] }> {
  const lines: string[] = [];
  const dtls = await openDtlsClient({
    server: { address: HOST, port },
    host: HOST,
    credential: { psk: { identity: IDENTITY, key } },
    limits: { timing },
    onEvent: (event) => void ("why" in event && lines.push(event.why)),
  });
  return { dtls, node: new CoapNode(dtls), lines };
}

const serveImage: CoapHandler<DtlsPeer> = () => ({ ...createResponse(CODE.content), body: memorySource(image) });

test("RFC 9146 §6: a new port in mid-download costs no handshake and no block", async () => {
  const server = await openServer(serveImage);
  const gateway = await Gateway.open(server.dtls.address.port);
  const client = await openClient(gateway.port);
  const parts: Uint8Array[] = [];
  let retransmissionCount = 0;
  try {
    const sink = {
      write: async (bytes: Uint8Array) => {
        parts.push(bytes.slice());
        if (parts.length % 50 === 0) await gateway.rebind();
      },
    };
    await client.node.download(client.dtls.server, createRequest("get", "/image"), sink, {
      onProgress: (progress) => {
        retransmissionCount = progress.retransmissionCount;
      },
    });
    assert.deepEqual(concat(parts), image);
    assert.equal(retransmissionCount, 0);
    assert.deepEqual(server.kinds(), ["opened", "moved", "moved", "moved"]);
    assert.equal(server.node.load.peers, 1);
  } finally {
    await client.node.close();
    gateway.close();
    await server.node.close();
  }
});

test("the handler sees who asks; an observation goes on after the device's port changed", async () => {
  const observations: ServerObservation[] = [];
  const server = await openServer((_, { identity, key }, offer) => {
    const observation = offer?.accept();
    if (observation) observations.push(observation);
    return createResponse(
      CODE.content,
      encodeUtf8(`${identity.kind} ${identity.name} ${/^dtls [0-9a-f]{16}$/.test(key)}`),
    );
  });
  const gateway = await Gateway.open(server.dtls.address.port);
  const client = await openClient(gateway.port);
  try {
    const seen: string[] = [];
    const arrived: (() => void)[] = [];
    const { response } = await client.node.observe(client.dtls.server, createRequest("get", "/"), ({ payload }) => {
      seen.push(Buffer.from(payload).toString());
      for (const done of arrived.splice(0)) done();
    });
    assert.equal(Buffer.from(response.payload).toString(), "psk device-7 true");
    await gateway.rebind();
    // The gateway lets nothing in before the device has spoken.
    await client.node.request(client.dtls.server, createRequest("get", "/"));
    const next = new Promise<void>((resolve) => arrived.push(resolve));
    observations[0]?.notify(createResponse(CODE.content, encodeUtf8("news")));
    await next;
    assert.deepEqual(seen, ["news"]);
    assert.equal(server.kinds().filter((kind) => kind === "opened").length, 1);
  } finally {
    await client.node.close();
    gateway.close();
    await server.node.close();
  }
});

test("a server that restarts with its sessions goes on with every device, a server without them is found again", async () => {
  const peers: DtlsPeer[] = [];
  const handler: CoapHandler<DtlsPeer> = ({ options }, peer) => {
    peers.push(peer);
    return createResponse(CODE.content, encodeUtf8(uriPath(options).join()));
  };
  const first = await openServer(handler);
  const { port } = first.dtls.address;
  const client = await openClient(port);
  const ask = async (path: string): Promise<string> =>
    Buffer.from((await client.node.request(client.dtls.server, createRequest("get", path))).payload).toString();
  try {
    assert.equal(await ask("/a"), "a");
    const sessions = first.dtls.exportSessions();
    await first.node.close();
    const second = await openServer(handler, { udp: { port }, sessions });
    assert.equal(await ask("/b"), "b");
    assert.deepEqual(second.kinds(), []);
    assert.equal(peers[1]?.key, peers[0]?.key);
    // Our server may speak first, too: it knows the peer by its session.
    client.node.serve(() => createResponse(CODE.content, encodeUtf8("pong")));
    const answer = await second.node.request(peers[1] as DtlsPeer, createRequest("get", "/ping"));
    assert.equal(Buffer.from(answer.payload).toString(), "pong");
    await second.node.close();
    const third = await openServer(handler, { udp: { port } });
    client.dtls.renew();
    assert.equal(await ask("/c"), "c");
    assert.deepEqual(third.kinds(), ["opened"]);
    await third.node.close();
  } finally {
    await client.node.close();
  }
});

test("a wrong key fails the request soon, and both ends have a line for it", async () => {
  const server = await openServer(serveImage);
  const client = await openClient(server.dtls.address.port, encodeUtf8("another key"));
  try {
    await assert.rejects(client.node.request(client.dtls.server, createRequest("get", "/")), {
      code: "COAP_UNREACHABLE",
    });
    assert.deepEqual(client.lines, ["the peer refused the handshake: decrypt_error"]);
    const lines = server.events.flatMap((event) => ("why" in event ? [event.why] : []));
    assert.deepEqual(lines, ['the peer\'s key for PSK identity "device-7" is not the one known here']);
  } finally {
    await client.node.close();
    await server.node.close();
  }
});

test("a credential that is withdrawn ends the session, and its open exchanges", async () => {
  const peers: DtlsPeer[] = [];
  const server = await openServer((_, peer) => {
    peers.push(peer);
    return createResponse(CODE.content);
  });
  const client = await openClient(server.dtls.address.port);
  try {
    await client.node.request(client.dtls.server, createRequest("get", "/"));
    client.node.serve(() => new Promise(() => {}));
    const pending = server.node.request(peers[0] as DtlsPeer, createRequest("get", "/slow"));
    server.dtls.revoke({ kind: "psk", name: IDENTITY });
    await assert.rejects(pending, { code: "COAP_UNREACHABLE" });
    await assert.rejects(server.node.request(peers[0] as DtlsPeer, createRequest("get", "/")), {
      code: "COAP_UNREACHABLE",
    });
    assert.equal(server.dtls.load.sessions, 0);
  } finally {
    await client.node.close();
    await server.node.close();
  }
});
