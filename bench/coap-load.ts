/**
 * Child process: the one load generator for all servers. Keeps `window` confirmable GETs under way for `seconds`, counts
 * those that come back with their Message ID, and sends again what got lost.
 */
import { createSocket } from "node:dgram";

const [port = 0, seconds = 2, window = 64] = process.argv.slice(2).map(Number);
const RESEND_MS = 100;
const socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
const openSince = new Map<number, number>();
let nextId = Math.floor(Math.random() * 65_536);
let count = 0;
let isOver = false;

function datagramOf(id: number): Uint8Array {
  // CON GET /t with the Message ID as token.
  return Uint8Array.of(0x42, 0x01, id >> 8, id, id >> 8, id, 0xb1, 0x74);
}

function sendNew(): void {
  nextId = (nextId + 1) & 0xffff;
  openSince.set(nextId, performance.now());
  const datagram = datagramOf(nextId);
  socket.send(datagram, 0, datagram.length, port, "127.0.0.1");
}

socket.on("message", (bytes) => {
  if (bytes.length < 6 || !openSince.delete(((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0))) return;
  count += 1;
  if (!isOver) sendNew();
});
await new Promise<void>((resolve) => {
  socket.bind(0, "127.0.0.1", resolve);
});
socket.setRecvBufferSize(4 * 2 ** 20);

let lost = 0;
const resend = setInterval(() => {
  const nowMs = performance.now();
  for (const [id, sinceMs] of openSince) {
    if (nowMs - sinceMs < RESEND_MS) continue;
    lost += 1;
    openSince.set(id, nowMs);
    socket.send(datagramOf(id), 0, 8, port, "127.0.0.1");
  }
}, RESEND_MS);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (let i = 0; i < window; i += 1) sendNew();
await wait(500);
process.send?.("warm");
count = 0;
lost = 0;
const startMs = performance.now();
await wait(seconds * 1000);
const tookSeconds = (performance.now() - startMs) / 1000;
process.send?.({ requestsPerSecond: count / tookSeconds, count, lost });
isOver = true;
clearInterval(resend);
socket.close();
process.disconnect?.();
