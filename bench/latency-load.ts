/** Child process: a good device that renews its registration at a fixed rate, and how long the answers take from when each was due. */
import { createSocket } from "node:dgram";
import { METHOD } from "@airlift/protocol/coap/codes";
import { type CoapMessage, decodeMessage, encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import { OPTION, optionTexts, pathOptions, queryOptions, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";

const [port = 0, seconds = 3, perSecond = 80] = process.argv.slice(2).map(Number);
const RESEND_MS = 2_000;
const socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
const send = (message: Partial<CoapMessage> & Pick<CoapMessage, "messageId" | "options">): void => {
  const { messageId } = message;
  const token = Uint8Array.of(messageId >> 8, messageId);
  const datagram = encodeMessage({
    type: MESSAGE_TYPE.confirmable,
    code: METHOD.post,
    token,
    payload: EMPTY,
    ...message,
  });
  socket.send(datagram, port, "127.0.0.1");
};
const registered = Promise.withResolvers<string[]>();
const dueAtMs = new Map<number, number>();
const tookMs: number[] = [];
let refused = 0;
socket.on("message", (bytes) => {
  const nowMs = performance.now();
  const message = decodeMessage(new Uint8Array(bytes));
  if (message.messageId === 0) registered.resolve(optionTexts(message.options, OPTION.locationPath));
  const sinceMs = dueAtMs.get(message.messageId);
  if (sinceMs === undefined) return;
  dueAtMs.delete(message.messageId);
  tookMs.push(nowMs - sinceMs);
  if (message.code >> 5 !== 2) refused += 1;
});
const query = queryOptions(`ep=good-${process.pid}&lt=86400&lwm2m=1.1&b=U`);
const format = uintOption(OPTION.contentFormat, 40);
send({ messageId: 0, options: [...pathOptions("/rd"), format, ...query], payload: encodeUtf8("</3/0>") });
const options = pathOptions(`/${(await registered.promise).join("/")}`);
const startMs = performance.now();
let sent = 0;
// An answer that is late does not make the next request late: otherwise the worst times would be asked for least.
const ticking = setInterval(() => {
  const elapsedMs = performance.now() - startMs;
  for (; (sent * 1000) / perSecond < elapsedMs && elapsedMs < seconds * 1000; sent += 1) {
    dueAtMs.set(sent + 1, startMs + (sent * 1000) / perSecond);
    send({ messageId: sent + 1, options });
  }
}, 1);
await new Promise((resolve) => setTimeout(resolve, seconds * 1000 + RESEND_MS));
clearInterval(ticking);
// What was not answered would be sent again after two seconds.
for (const _ of dueAtMs) tookMs.push(RESEND_MS);
tookMs.sort((a, b) => a - b);
const at = (share: number): number => tookMs[Math.floor(tookMs.length * share)] ?? 0;
process.send?.({ p50Ms: at(0.5), p99Ms: at(0.99), count: sent, refused, lost: dueAtMs.size });
socket.close();
process.disconnect?.();
