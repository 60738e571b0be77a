/** Child process: a download over DTLS while a gateway gives the device another port again and again (RFC 9146). */
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CoapNode } from "@airlift/runtime/coap-node";
import { type DtlsPeer, openDtlsServer } from "@airlift/runtime/dtls";
import { openDtlsClient } from "@airlift/runtime/dtls-client";
import { Gateway } from "../tests/e2e/gateway.ts";

const HOST = "127.0.0.1";
const BLOCKS_PER_PORT = 50;
const key = encodeUtf8("sixteen octets!!");
const image = new Uint8Array(2 ** 21);

const counts = { handshakes: 0, newPorts: 0 };
const dtls = await openDtlsServer({
  udp: { host: HOST },
  credentials: { psk: () => key },
  onEvent: ({ kind }) => {
    if (kind === "opened") counts.handshakes += 1;
    else if (kind === "moved") counts.newPorts += 1;
  },
});
const server = new CoapNode<DtlsPeer>(dtls);
server.serve(() => ({ ...createResponse(CODE.content), body: memorySource(image) }));
const gateway = await Gateway.open(dtls.address.port);
const channel = await openDtlsClient({
  server: { address: HOST, port: gateway.port },
  host: HOST,
  credential: { psk: { identity: "bench", key } },
});
const client = new CoapNode(channel);

let blocks = 0;
let blocksSentAgain = 0;
const startMs = performance.now();
const sink = {
  write: async () => {
    blocks += 1;
    if (blocks % BLOCKS_PER_PORT === 0) await gateway.rebind();
  },
};
await client.download(channel.server, createRequest("get", "/image"), sink, {
  onProgress: ({ retransmissionCount }) => {
    blocksSentAgain = retransmissionCount;
  },
});
const seconds = (performance.now() - startMs) / 1000;
process.send?.({ ...counts, blocks, blocksSentAgain, megabytesPerSecond: image.length / 1e6 / seconds });
await client.close();
gateway.close();
await server.close();
process.disconnect?.();
