/** Frames over a stream of octets in KISS framing: a modem at a serial port, or one that is reached over TCP. */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { encodeKiss, KissDecoder } from "./kiss.ts";
import { KeptOpen, type OpenedWay, type RetryOptions } from "./link-retry.ts";
import type { LinkCounts, RadioLink } from "./radio-link.ts";
import { openSerialPort } from "./serial-port.ts";

/** Octets that may wait for a modem that does not take them; what is more is lost, as on air. */
export const MAX_BACKLOG_BYTES = 65_536;
/** A TCP connection that does not come about in so long is given up. */
const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 10_000;

export interface KissLinkOptions {
  readonly uri: string;
  /** Opens the stream; rejects when that cannot be. */
  open(): Promise<Duplex>;
  readonly retry?: RetryOptions;
}

interface Way extends OpenedWay {
  readonly stream: Duplex;
}

/** Opens a link over a stream; one that is not there yet is waited for. */
export async function openKissLink(options: KissLinkOptions): Promise<RadioLink> {
  const link = new KissLink(options);
  await link.start();
  return link;
}

/** The stream of `kiss+tcp://HOST:PORT`. */
export function openTcp(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
    const timer = setTimeout(() => socket.destroy(new Error("no connection in time")), CONNECT_TIMEOUT_MS);
    socket.once("error", reject);
    socket.once("close", () => clearTimeout(timer));
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** The stream of `kiss:PATH[?baud=N]`. */
export const openSerial = (path: string, baudRate: number): Promise<Duplex> => openSerialPort(path, baudRate);

class KissLink implements RadioLink {
  readonly uri: string;
  readonly #kept: KeptOpen<Way>;
  #listener: ((frame: Uint8Array) => void) | undefined;
  #sentCount = 0;
  #heardCount = 0;

  constructor({ uri, open, retry }: KissLinkOptions) {
    this.uri = uri;
    this.#kept = new KeptOpen(async () => this.#attach(await open()), retry);
  }

  get counts(): LinkCounts {
    return {
      isUp: this.#kept.way !== undefined,
      sentCount: this.#sentCount,
      heardCount: this.#heardCount,
      healedCount: Math.max(0, this.#kept.openedCount - 1),
      problem: this.#kept.problem,
    };
  }

  async start(): Promise<void> {
    await this.#kept.start();
  }

  listen(listener: (frame: Uint8Array) => void): void {
    this.#listener = listener;
  }

  send(frame: Uint8Array): void {
    const stream = this.#kept.way?.stream;
    if (!stream || stream.writableLength > MAX_BACKLOG_BYTES) return;
    stream.write(encodeKiss(frame));
    this.#sentCount += 1;
  }

  async close(): Promise<void> {
    const stream = this.#kept.way?.stream;
    const closed = stream && new Promise((resolve) => stream.once("close", resolve));
    this.#listener = undefined;
    this.#kept.close();
    await closed;
  }

  #attach(stream: Duplex): Way {
    // Each connection begins a stream of its own: half a frame of the last one is not continued.
    const decoder = new KissDecoder();
    stream.on("data", (bytes: Uint8Array) => {
      for (const frame of decoder.push(bytes)) {
        this.#heardCount += 1;
        this.#listener?.(frame);
      }
    });
    const ended = new Promise((resolve) => {
      stream.on("error", resolve);
      stream.once("end", resolve);
      stream.once("close", resolve);
    });
    return { stream, ended, close: () => void stream.destroy() };
  }
}
