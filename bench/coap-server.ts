/** Child process: a server to be measured. `echo`, `airlift` or `node-coap`; tells its port, and its use of CPU and memory when asked. */
import { createSocket } from "node:dgram";
import { CODE } from "@airlift/protocol/coap/codes";
import { createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uriPath } from "@airlift/protocol/coap/options";
import { openCoapUdp } from "@airlift/runtime/coap-udp";

const HOST = "127.0.0.1";
const IMAGE = new Uint8Array(2 ** 20).map((_, i) => i);
const ETAG = [{ number: OPTION.etag, value: Uint8Array.of(1) }];
const TEXT = createResponse(CODE.content, new Uint8Array(6).fill(0x41));
const BODY = {
  ...createResponse(CODE.content, undefined, ETAG),
  body: { sizeBytes: IMAGE.length, read: (offset: number, length: number) => IMAGE.subarray(offset, offset + length) },
};

async function startEcho(): Promise<number> {
  const socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
  socket.on("message", (bytes, { port, address }) => socket.send(bytes, 0, bytes.length, port, address));
  await new Promise<void>((resolve) => {
    socket.bind(0, HOST, resolve);
  });
  socket.setRecvBufferSize(4 * 2 ** 20);
  return socket.address().port;
}

async function startAirlift(): Promise<number> {
  const node = await openCoapUdp({ host: HOST });
  node.serve(({ options }) => (uriPath(options)[0] === "image" ? BODY : TEXT));
  return node.address.port;
}

async function startNodeCoap(): Promise<number> {
  const { createServer } = await import("coap");
  const server = createServer((_request, response) => {
    response.end("AAAAAA");
  });
  const port = 20_000 + (process.pid % 20_000);
  await new Promise<void>((resolve) => {
    server.listen(port, HOST, () => resolve());
  });
  return port;
}

const servers: Record<string, () => Promise<number>> = {
  echo: startEcho,
  airlift: startAirlift,
  "node-coap": startNodeCoap,
};
const port = await servers[process.argv[2] ?? ""]?.();
process.send?.(port);
process.on("message", (question) => {
  if (question === "held") globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  process.send?.({ cpuSeconds: (user + system) / 1e6, rssBytes: rss, heldBytes: heapUsed + arrayBuffers });
});
