/** Frames over a stream of octets in KISS framing: a modem at a serial port, or one that is reached over TCP. */
import { randomInt } from "node:crypto";
import { connect, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { airtimeMs as airtimeOf } from "@airlift/protocol/zmesh/airtime";
import { FRAME_OVERHEAD_BYTES } from "@airlift/protocol/zmesh/frame";
import { encodeKiss, KissDecoder } from "./kiss.ts";
import { KeptOpen, type OpenedWay, type RetryOptions } from "./link-retry.ts";
import { type DueFrame, ID_COUNT, PacedWriter } from "./paced-writer.ts";
import type { LinkCounts, RadioLink } from "./radio-link.ts";
import { openSerialPort } from "./serial-port.ts";

/**
 * A modem that takes nothing for so long is hung up on: what it has not taken by then must not go on air any more. One that should
 * confirm has twice as long each time, until it confirms again: what it holds of ten hang-ups in an hour is below the law's reserve.
 */
export const DEFAULT_STALL_MS = 5_000;
const MOST_DOUBLINGS = 10;
/** A TCP connection that does not come about in so long is given up. */
const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 10_000;

export interface KissLinkOptions {
  readonly uri: string;
  /** Opens the stream; rejects when that cannot be. */
  open(): Promise<Duplex>;
  readonly retry?: RetryOptions;
  /** Whether the modem confirms what it has sent (ACKMODE): then nothing more waits in it than is allowed to be late. */
  readonly confirms?: boolean;
  /** Default `DEFAULT_STALL_MS`. */
  readonly stallMs?: number;
  /** Monotonic; for tests. */
  readonly nowMs?: () => number;
}

interface Way extends OpenedWay {
  readonly stream: Duplex;
  readonly writer: PacedWriter;
  /** Runs while something is on its way. */
  stall?: NodeJS.Timeout | undefined;
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
  readonly #confirms: boolean;
  readonly #stallMs: number;
  readonly #nowMs: () => number;
  #listener: ((frame: Uint8Array) => void) | undefined;
  #sentCount = 0;
  #heardCount = 0;
  #lostCount = 0;
  /** Goes on through all connections, and begins anywhere: what a modem says of a frame long ago is said of none of now. */
  #nextId = randomInt(ID_COUNT);
  /** Times that it was hung up on since it confirmed something. */
  #unconfirmedCount = 0;
  /** Why it was hung up on the last time. */
  #stalled: string | undefined;

  constructor(options: KissLinkOptions) {
    const { uri, open, retry, confirms = false, stallMs = DEFAULT_STALL_MS } = options;
    this.uri = uri;
    this.#confirms = confirms;
    this.#stallMs = stallMs;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#kept = new KeptOpen(async () => this.#attach(await open()), retry);
  }

  get counts(): LinkCounts {
    return {
      isUp: this.#kept.way !== undefined,
      sentCount: this.#sentCount,
      heardCount: this.#heardCount,
      healedCount: Math.max(0, this.#kept.openedCount - 1),
      lostCount: this.#lostCount + (this.#kept.way?.writer.lostCount ?? 0),
      problem: this.#kept.problem ?? this.#stalled,
    };
  }

  async start(): Promise<void> {
    await this.#kept.start();
  }

  listen(listener: (frame: Uint8Array) => void): void {
    this.#listener = listener;
  }

  send(frame: Uint8Array, airtimeMs: number = airtimeOf(frame.length - FRAME_OVERHEAD_BYTES)): void {
    const way = this.#kept.way;
    if (way) this.#write(way, way.writer.send(frame.slice(), airtimeMs, this.#nowMs()));
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
    const writer = new PacedWriter(this.#nextId);
    const ended = new Promise((resolve) => {
      stream.on("error", resolve);
      stream.once("end", resolve);
      stream.once("close", resolve);
    });
    const way: Way = { stream, writer, ended, close: () => this.#detach(way) };
    this.#stalled = undefined;
    stream.on("data", (bytes: Uint8Array) => {
      for (const frame of decoder.push(bytes)) {
        this.#heardCount += 1;
        this.#listener?.(frame);
      }
      for (const id of decoder.acks.splice(0)) if (this.#confirms) this.#taken(way, id);
    });
    return way;
  }

  #detach({ stream, writer, stall }: Way): void {
    clearTimeout(stall);
    this.#lostCount += writer.lostCount;
    this.#nextId = writer.nextId;
    stream.destroy();
  }

  #hangUp({ stream }: Way): void {
    this.#stalled = `the modem ${this.#confirms ? "confirms (ack=1)" : "takes"} nothing any more: it was hung up on`;
    if (this.#confirms) this.#unconfirmedCount = Math.min(MOST_DOUBLINGS, this.#unconfirmedCount + 1);
    // At once: what the system holds for it is not to be delivered.
    if (stream instanceof Socket) stream.resetAndDestroy();
    else stream.destroy();
  }

  #write(way: Way, due: readonly DueFrame[]): void {
    for (const { frame, id } of due) {
      this.#sentCount += 1;
      if (this.#confirms) way.stream.write(encodeKiss(frame, id));
      else way.stream.write(encodeKiss(frame), () => this.#taken(way, id));
    }
    if (way.writer.isWaiting)
      way.stall ??= setTimeout(() => this.#hangUp(way), this.#stallMs * 2 ** this.#unconfirmedCount);
  }

  #taken(way: Way, id: number): void {
    const due = way.writer.taken(id, this.#nowMs());
    if (due === undefined) return;
    this.#unconfirmedCount = 0;
    clearTimeout(way.stall);
    way.stall = undefined;
    this.#write(way, due);
  }
}
