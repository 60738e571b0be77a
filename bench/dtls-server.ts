/** Child process: our CoAP server over DTLS, to be measured. Tells its port, and its use of CPU and memory when asked. */
import { CODE } from "@airlift/protocol/coap/codes";
import { createResponse } from "@airlift/protocol/coap/exchange";
import { suiteByName } from "@airlift/protocol/dtls/suites";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CoapNode } from "@airlift/runtime/coap-node";
import { openDtlsServer } from "@airlift/runtime/dtls";

const suite = suiteByName(process.argv[2] ?? "");
const key = encodeUtf8("sixteen octets!!");
const server = await openDtlsServer({
  udp: { host: "127.0.0.1" },
  credentials: { psk: () => key },
  limits: { suites: suite ? [suite] : [], sessionsPerIdentity: 1_000_000, handshakesPerHost: 10_000 },
});
const node = new CoapNode(server);
const answer = createResponse(CODE.content, new Uint8Array(6).fill(0x41));
node.serve(() => answer);
process.send?.(server.address.port);
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() });
});
