/**
 * Child process: the one load generator for all servers. Keeps `window` confirmable GETs under way for `seconds`, counts
 * those that come back with their Message ID, and sends again what got lost.
 */
import { LoadClient, measureLoad } from "./load-client.ts";

const [port = 0, seconds = 2, window = 64] = process.argv.slice(2).map(Number);
/** So many peers that no Message ID recurs during the run: a server may answer a recurring one from its memory. */
const PEERS = 16;

// CON GET /t with the Message ID as token.
const datagram = (id: number): Uint8Array => Uint8Array.of(0x42, 0x01, id >> 8, id, id >> 8, id, 0xb1, 0x74);
const clients = Array.from({ length: PEERS }, () => new LoadClient({ port, datagram }));
await Promise.all(clients.map((client) => client.open()));
for (const client of clients) for (let i = 0; i < window / PEERS; i += 1) client.sendNew();
process.send?.(await measureLoad(clients, seconds, () => process.send?.("warm")));
for (const client of clients) client.close();
process.disconnect?.();
