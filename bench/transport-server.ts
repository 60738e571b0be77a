/** Child process: one image of 8 MiB, over CoAP on UDP, CoAP on TCP and HTTP. Tells its ports, and its use of CPU when asked. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION } from "@airlift/protocol/coap/options";
import { openCoapTcp } from "@airlift/runtime/coap-tcp";
import { openCoapUdp } from "@airlift/runtime/coap-udp";

const HOST = "127.0.0.1";
const IMAGE = new Uint8Array(8 * 2 ** 20).map((_, i) => i);
const ETAG = [{ number: OPTION.etag, value: Uint8Array.of(1) }];
const answer = () => ({ ...createResponse(CODE.content, undefined, ETAG), body: memorySource(IMAGE) });

const udp = await openCoapUdp({ host: HOST });
const tcp = await openCoapTcp({ listen: { host: HOST } });
udp.serve(answer);
tcp.serve(answer);
const http = createServer((_request, response) => response.setHeader("ETag", '"1"').end(IMAGE));
await new Promise<void>((resolve) => http.listen(0, HOST, resolve));
process.send?.({ coap: udp.address.port, "coap+tcp": tcp.address?.port, http: (http.address() as AddressInfo).port });
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.((user + system) / 1e6);
});
