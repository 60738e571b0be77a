/** Child process: one device that sends at a fixed rate, whatever it is answered. */
import { createSocket } from "node:dgram";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import { OPTION, pathOptions, queryOptions, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";

const [port = "0", seconds = "6", perSecond = "2000", what = "registrations"] = process.argv.slice(2);
const TICK_MS = 5;
const LINKS = uintOption(OPTION.contentFormat, 40);
const message = (messageId: number) => ({
  type: MESSAGE_TYPE.confirmable,
  messageId,
  token: Uint8Array.of(messageId >> 8, messageId),
});

/** What a device floods with, by name. */
const FLOODS: Readonly<Record<string, (messageId: number) => Uint8Array>> = {
  /** Each of another name, none of which can be read. */
  registrations: (id) =>
    encodeMessage({
      ...message(id),
      code: METHOD.post,
      options: [...pathOptions("/rd"), LINKS, ...queryOptions(`ep=flood-${id}&lt=86400&lwm2m=1.1&b=U`)],
      payload: encodeUtf8(`${"</1/0>,".repeat(120)}</3/0>;x="`),
    }),
  /** Of a registration that there is not. */
  updates: (id) =>
    encodeMessage({ ...message(id), code: METHOD.post, options: pathOptions(`/rd/${id}`), payload: EMPTY }),
  sends: (id) =>
    encodeMessage({
      ...message(id),
      code: METHOD.post,
      options: [...pathOptions("/dp"), uintOption(OPTION.contentFormat, 110)],
      payload: encodeUtf8(`[{"bn":"/3/0/9","v":${id}}]`),
    }),
  /** Notifications of an observation that nobody asked for. */
  notifications: (id) =>
    encodeMessage({
      ...message(id),
      code: CODE.content,
      options: [uintOption(OPTION.observe, id), uintOption(OPTION.contentFormat, 0)],
      payload: encodeUtf8(`${id}`),
    }),
  /** A CoAP header, and then nothing that makes sense. */
  garbage: (id) => Uint8Array.of(0x4f, 0xff, id >> 8, id, ...new Array<number>(200).fill(0xee)),
};

const flood = FLOODS[what];
if (flood === undefined) throw new Error(`there is no flood of ${what}`);
const datagrams = Array.from({ length: 0x1_0000 }, (_, id) => flood(id));
const socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
process.send?.("warm");
const startMs = performance.now();
let sent = 0;
// The rate is kept on average: a tick that comes late sends what is due.
const ticking = setInterval(() => {
  const dueCount = ((performance.now() - startMs) / 1000) * Number(perSecond);
  for (; sent < dueCount; sent += 1) socket.send(datagrams[sent & 0xffff] as Uint8Array, Number(port), "127.0.0.1");
}, TICK_MS);
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
clearInterval(ticking);
process.send?.({ perSecond: (sent * 1000) / (performance.now() - startMs) });
socket.close();
process.disconnect?.();
