/** One client of the load generators: a port of its own, a window of confirmable requests under way, resending what got lost. */
import { createSocket } from "node:dgram";

export interface LoadOptions {
  readonly port: number;
  /** The datagram of one request: type CON, this Message ID, and the two octets of it as token. */
  readonly datagram: (messageId: number) => Uint8Array;
  /** Every answer that was waited for; a view. */
  readonly onAnswer?: (bytes: Uint8Array) => void;
}

export const RESEND_MS = 100;

export class LoadClient {
  readonly #socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
  readonly #openSince = new Map<number, number>();
  readonly #options: LoadOptions;
  #nextId = 0;
  count = 0;
  lost = 0;
  /** Answers are no longer followed by a new request. */
  isOver = false;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.bind(0, "127.0.0.1", resolve);
    });
    this.#socket.setRecvBufferSize(2 ** 20);
    this.#socket.on("message", (bytes) => {
      if (bytes.length < 4 || !this.#openSince.delete(((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0))) return;
      this.count += 1;
      this.#options.onAnswer?.(bytes);
      if (!this.isOver) this.sendNew();
    });
  }

  sendNew(): void {
    this.#nextId = (this.#nextId + 1) & 0xffff;
    this.#send(this.#nextId, this.#options.datagram(this.#nextId));
  }

  resend(): void {
    const nowMs = performance.now();
    for (const [id, sinceMs] of this.#openSince) {
      if (nowMs - sinceMs < RESEND_MS) continue;
      this.lost += 1;
      this.#send(id, this.#options.datagram(id));
    }
  }

  close(): void {
    this.isOver = true;
    this.#socket.close();
  }

  #send(id: number, datagram: Uint8Array): void {
    this.#openSince.set(id, performance.now());
    this.#socket.send(datagram, 0, datagram.length, this.#options.port, "127.0.0.1");
  }
}

/** Runs the clients for `seconds` after half a second of warming up, which `onWarm` ends. */
export async function measureLoad(clients: readonly LoadClient[], seconds: number, onWarm: () => void) {
  const resending = setInterval(() => {
    for (const client of clients) client.resend();
  }, RESEND_MS);
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await wait(500);
  onWarm();
  for (const client of clients) client.count = client.lost = 0;
  const startMs = performance.now();
  await wait(seconds * 1000);
  const tookSeconds = (performance.now() - startMs) / 1000;
  clearInterval(resending);
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  const count = sum(clients.map((client) => client.count));
  return { requestsPerSecond: count / tookSeconds, count, lost: sum(clients.map((client) => client.lost)) };
}
