/** Child process: one device that sends registrations which cannot be read, as fast as they are refused. */
import { METHOD } from "@airlift/protocol/coap/codes";
import { encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import { OPTION, pathOptions, queryOptions, uintOption } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { LoadClient, measureLoad } from "./load-client.ts";

const [port = 0, seconds = 6] = process.argv.slice(2).map(Number);
const WINDOW = 64;
const payload = encodeUtf8(`${"</1/0>,".repeat(120)}</3/0>;x="`);
const client = new LoadClient({
  port,
  datagram: (messageId) =>
    encodeMessage({
      type: MESSAGE_TYPE.confirmable,
      code: METHOD.post,
      messageId,
      token: Uint8Array.of(messageId >> 8, messageId),
      options: [
        ...pathOptions("/rd"),
        uintOption(OPTION.contentFormat, 40),
        ...queryOptions("ep=flood&lt=86400&lwm2m=1.1&b=U"),
      ],
      payload,
    }),
});
await client.open();
for (let i = 0; i < WINDOW; i += 1) client.sendNew();
process.send?.(await measureLoad([client], seconds, () => process.send?.("warm")));
client.close();
process.disconnect?.();
