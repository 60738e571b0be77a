import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { concat, decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { ServerObservation } from "@airlift/runtime/coap";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";
import * as coap from "coap";

const IMAGE = Uint8Array.from({ length: 9_001 }, (_, i) => (i * 31) ^ (i >> 8));
const HOST = "127.0.0.1";

test("node-coap gets, puts and observes at our server", async () => {
  const node = await openCoapUdp({ host: HOST });
  const lengths: number[] = [];
  let observation: ServerObservation | undefined;
  node.serve(({ code, payload }, _peer, offer) => {
    observation ??= offer?.accept();
    if (offer) return createResponse(CODE.content, encodeUtf8("0"));
    if (code === 1) return { ...createResponse(CODE.content), body: memorySource(IMAGE) };
    lengths.push(payload.length);
    return createResponse(CODE.changed);
  });
  const { port } = node.address;
  const ask = async (options: object, body?: Uint8Array): Promise<coap.IncomingMessage> => {
    const request = coap.request({ host: HOST, port, ...options });
    request.end(body && Buffer.from(body));
    const [response] = (await once(request, "response")) as [coap.IncomingMessage];
    return response;
  };
  const got = await ask({ pathname: "/fw", options: { Block2: Buffer.of(0x06) } });
  assert.deepEqual(new Uint8Array(got.payload), IMAGE);
  assert.equal((await ask({ method: "PUT", pathname: "/fw" }, IMAGE.subarray(0, 900))).code, "2.04");
  assert.deepEqual(lengths, [900]);

  const request = coap.request({ host: HOST, port, pathname: "/state", observe: true });
  request.end();
  const [stream] = (await once(request, "response")) as [coap.ObserveReadStream];
  assert.equal(String((await once(stream, "data"))[0]), "0");
  observation?.notify(createResponse(CODE.content, encodeUtf8("1")));
  assert.equal(String((await once(stream, "data"))[0]), "1");
  stream.close();
  await node.close();
});

test("our client gets, pulls block-wise and observes at a node-coap server", async () => {
  const server = coap.createServer((request, response) => {
    if (request.headers["Observe"] === 0) {
      response.write("0");
      setTimeout(() => response.end("1"), 50);
    } else response.end(Buffer.from(IMAGE));
  });
  const node = await openCoapUdp({ host: HOST });
  const port = node.address.port ^ 1;
  await new Promise<void>((resolve) => server.listen(port, HOST, () => resolve()));
  const peer = udpPeer(HOST, port);
  const parts: Uint8Array[] = [];
  const sink = { write: (bytes: Uint8Array) => void parts.push(bytes.slice()) };
  await node.download(peer, createRequest("get", "/fw"), sink);
  assert.deepEqual(concat(parts), IMAGE);

  const texts: (string | undefined)[] = [];
  await new Promise<void>((resolve, reject) => {
    const onNotification = ({ payload }: { payload: Uint8Array }): void => {
      texts.push(decodeUtf8(payload));
      resolve();
    };
    node.observe(peer, createRequest("get", "/state"), onNotification).then(({ response }) => {
      texts.push(decodeUtf8(response.payload));
    }, reject);
  });
  assert.deepEqual(texts, ["0", "1"]);
  await node.close();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
});
