/**
 * Child process: the one load generator for all servers. Keeps `window` confirmable GETs under way for `seconds`, counts
 * those that come back with their Message ID, and sends again what got lost.
 */
import { createSocket } from "node:dgram";

const [port = 0, seconds = 2, window = 64] = process.argv.slice(2).map(Number);
const RESEND_MS = 100;
/** So many peers that no Message ID recurs during the run: a server may answer a recurring one from its memory. */
const PEERS = 16;

/** One client of its own port, with its share of the window. */
class Client {
  readonly #socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
  readonly #openSince = new Map<number, number>();
  #nextId = 0;
  count = 0;
  lost = 0;
  isOver = false;

  async open(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.bind(0, "127.0.0.1", resolve);
    });
    this.#socket.setRecvBufferSize(2 ** 20);
    this.#socket.on("message", (bytes) => {
      if (bytes.length < 6 || !this.#openSince.delete(((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0))) return;
      this.count += 1;
      if (!this.isOver) this.sendNew();
    });
  }

  sendNew(): void {
    this.#nextId = (this.#nextId + 1) & 0xffff;
    this.#send(this.#nextId);
  }

  resend(): void {
    const nowMs = performance.now();
    for (const [id, sinceMs] of this.#openSince) {
      if (nowMs - sinceMs < RESEND_MS) continue;
      this.lost += 1;
      this.#send(id);
    }
  }

  close(): void {
    this.#socket.close();
  }

  #send(id: number): void {
    this.#openSince.set(id, performance.now());
    // CON GET /t with the Message ID as token.
    const datagram = Uint8Array.of(0x42, 0x01, id >> 8, id, id >> 8, id, 0xb1, 0x74);
    this.#socket.send(datagram, 0, datagram.length, port, "127.0.0.1");
  }
}

const clients = Array.from({ length: PEERS }, () => new Client());
await Promise.all(clients.map((client) => client.open()));
const resending = setInterval(() => clients.forEach((client) => void client.resend()), RESEND_MS);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (const client of clients) for (let i = 0; i < window / PEERS; i += 1) client.sendNew();
await wait(500);
process.send?.("warm");
for (const client of clients) client.count = client.lost = 0;
const startMs = performance.now();
await wait(seconds * 1000);
const tookSeconds = (performance.now() - startMs) / 1000;
const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
const count = sum(clients.map((client) => client.count));
process.send?.({ requestsPerSecond: count / tookSeconds, count, lost: sum(clients.map((client) => client.lost)) });
clearInterval(resending);
for (const client of clients) {
  client.isOver = true;
  client.close();
}
process.disconnect?.();
