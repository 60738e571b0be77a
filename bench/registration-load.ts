/** Child process: devices that register once, then renew their registrations as fast as the server answers. */

import { METHOD } from "@airlift/protocol/coap/codes";
import { decodeMessage, encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import { OPTION, optionTexts, pathOptions, queryOptions, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { LoadClient, measureLoad } from "./load-client.ts";

const [port = 0, seconds = 2, deviceCount = 1000] = process.argv.slice(2).map(Number);
const PEERS = 16;
const WINDOW = 64;
const links = encodeUtf8("</1/0>,</3/0>,</5/0>");

const register = (endpoint: string, messageId: number): Uint8Array =>
  encodeMessage({
    type: MESSAGE_TYPE.confirmable,
    code: METHOD.post,
    messageId,
    token: Uint8Array.of(messageId >> 8, messageId),
    options: [
      ...pathOptions("/rd"),
      uintOption(OPTION.contentFormat, 40),
      ...queryOptions(`ep=${endpoint}&lt=86400&lwm2m=1.1&b=U`),
    ],
    payload: links,
  });

const update = (location: readonly string[], messageId: number): Uint8Array =>
  encodeMessage({
    type: MESSAGE_TYPE.confirmable,
    code: METHOD.post,
    messageId,
    token: Uint8Array.of(messageId >> 8, messageId),
    options: pathOptions(`/${location.join("/")}`),
    payload: EMPTY,
  });

/** A peer with its share of the devices: first all register, then their updates go round. */
function createPeer(peer: number): { client: LoadClient; registered: Promise<void> } {
  const share = Math.ceil(deviceCount / PEERS);
  const locations: string[][] = [];
  const { promise: registered, resolve } = Promise.withResolvers<void>();
  const client: LoadClient = new LoadClient({
    port,
    datagram: (id) => {
      if (id <= share) return register(`bench-${peer}-${id}`, id);
      return update(locations[id % share] ?? [], id);
    },
    onAnswer: (bytes) => {
      if (locations.length === share) return;
      locations.push(optionTexts(decodeMessage(bytes).options, OPTION.locationPath));
      client.isOver = locations.length + WINDOW / PEERS > share;
      if (locations.length === share) resolve();
    },
  });
  return { client, registered };
}

const peers = Array.from({ length: PEERS }, (_, peer) => createPeer(peer));
const clients = peers.map(({ client }) => client);
await Promise.all(clients.map((client) => client.open()));
const start = (): void => {
  for (const client of clients) for (let i = 0; i < WINDOW / PEERS; i += 1) client.sendNew();
};
start();
await Promise.all(peers.map(({ registered }) => registered));
for (const client of clients) client.isOver = false;
start();
process.send?.(await measureLoad(clients, seconds, () => process.send?.("warm")));
for (const client of clients) client.close();
process.disconnect?.();
