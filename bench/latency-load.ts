/** Child process: one device that renews its registration every few milliseconds and measures how long the answer takes. */
import { setTimeout as sleep } from "node:timers/promises";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts, uintOption } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";

const [port = 0, seconds = 3] = process.argv.slice(2).map(Number);
const PAUSE_MS = 2;
const coap = await openCoapUdp({ host: "127.0.0.1" });
const server = udpPeer("127.0.0.1", port);
const request = createRequest("post", "/rd?ep=good&lt=86400&lwm2m=1.1&b=U", {
  payload: encodeUtf8("</3/0>"),
  options: [uintOption(OPTION.contentFormat, 40)],
});
const { options } = await coap.request(server, request);
const update = createRequest("post", `/${optionTexts(options, OPTION.locationPath).join("/")}`);
const tookMs: number[] = [];
const endMs = performance.now() + seconds * 1000;
while (performance.now() < endMs) {
  const startMs = performance.now();
  await coap.request(server, update);
  tookMs.push(performance.now() - startMs);
  await sleep(PAUSE_MS);
}
tookMs.sort((a, b) => a - b);
const at = (share: number): number => tookMs[Math.floor(tookMs.length * share)] ?? 0;
process.send?.({ p50Ms: at(0.5), p99Ms: at(0.99) });
await coap.close();
process.disconnect?.();
