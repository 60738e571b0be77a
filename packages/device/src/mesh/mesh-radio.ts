/** What a mesh device says: answers at once, news after a while of its own choosing, all of it within the law. */
import { airtimeMs, DEFAULT_RATE_BPS } from "@airlift/protocol/zmesh/airtime";
import { type CommandChannel, sealStatus } from "@airlift/protocol/zmesh/command-channel";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { DutyLedger } from "@airlift/protocol/zmesh/duty-ledger";
import { encodeFrame, type Frame } from "@airlift/protocol/zmesh/frame";
import type { ReceiverStatus } from "@airlift/protocol/zmesh/receiver-types";
import type { AirtimeLimit } from "@airlift/protocol/zmesh/regions";
import { BATTERY_UNKNOWN } from "@airlift/protocol/zmesh/status-event";
import type { MeshMemoryFile } from "./mesh-memory.ts";

/** A radio as the device sees it; every link of a gateway is one. */
export interface MeshRadio {
  /** @param airtimeMs Booked for it: one that cannot go out in that time is lost. */
  send(frame: Uint8Array, airtimeMs: number): void;
  listen(listener: (frame: Uint8Array) => void): void;
}

/** News of 1000 devices at 50 kb/s take 7 s: choose at least 10 ms for each device in reach. */
export const DEFAULT_NEWS_SPREAD_MS = 5_000;
/** How often an outcome is told, each time after four times as long: at 5 % loss one in 160 000 is never heard. */
const OUTCOME_REPEATS = 4;
/** Numbers of events that one write reserves. */
const FSEQ_RESERVE = 100;
/** What the law holds back for longer is not worth saying any more. */
const LONGEST_HOLD_MS = 600_000;

export interface MeshVoiceOptions {
  readonly radio: MeshRadio;
  readonly channel: CommandChannel;
  readonly networkKey: Uint8Array;
  readonly crypto: ZmeshCrypto;
  readonly memory: MeshMemoryFile;
  readonly limit: AirtimeLimit;
  readonly random: () => number;
  readonly ttl: number;
  readonly rateBps?: number;
  readonly newsSpreadMs?: number;
  version(): string;
}

export class MeshVoice {
  readonly #options: MeshVoiceOptions;
  readonly #ledger: DutyLedger;
  readonly #timers = new Set<NodeJS.Timeout>();
  #lastFseq: number;
  #newsGeneration = 0;

  constructor(options: MeshVoiceOptions) {
    this.#options = options;
    this.#ledger = new DutyLedger(options.limit);
    this.#lastFseq = options.memory.memory.eventFseq;
  }

  /** Says it now: the answer to a poll. */
  answer(status: ReceiverStatus): void {
    this.#sayStatus(status);
  }

  /** Says it within the spread; what is newer takes its place. An outcome is said several times. */
  news(status: ReceiverStatus, isOutcome: boolean): void {
    this.#newsGeneration += 1;
    const generation = this.#newsGeneration;
    const { newsSpreadMs = DEFAULT_NEWS_SPREAD_MS, random } = this.#options;
    let [fromMs, spreadMs] = [0, newsSpreadMs];
    for (let i = 0; i < (isOutcome ? OUTCOME_REPEATS : 1); i += 1) {
      this.#later(fromMs + random() * spreadMs, () => {
        if (generation === this.#newsGeneration) this.#sayStatus(status);
      });
      fromMs += spreadMs;
      spreadMs *= 4;
    }
  }

  /** Asks for packets. */
  ask(interest: Pick<Frame, "name" | "fseq" | "payload">): void {
    this.#say({ kind: "interest", ...interest });
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #sayStatus(status: ReceiverStatus): void {
    const { channel, crypto, version } = this.#options;
    const fseq = this.#nextFseq();
    if (fseq === undefined) return;
    const full = { ...status, version: versionBytes(version()), flags: 0, batteryPercent: BATTERY_UNKNOWN };
    this.#say({ kind: "event", name: channel.name, fseq, payload: sealStatus({ ...channel, crypto }, fseq, full) });
  }

  /** Stored before it is used; `undefined` when the channel needs a new key. */
  #nextFseq(): number | undefined {
    const { memory } = this.#options;
    if (this.#lastFseq >= 2 ** 24 - 1) return undefined;
    this.#lastFseq += 1;
    if (this.#lastFseq > memory.memory.eventFseq)
      memory.change({ eventFseq: Math.min(2 ** 24 - 1, this.#lastFseq + FSEQ_RESERVE) });
    return this.#lastFseq;
  }

  #say(said: Pick<Frame, "kind" | "name" | "fseq" | "payload">): void {
    const { networkKey, crypto, radio, ttl, rateBps = DEFAULT_RATE_BPS } = this.#options;
    const frame = encodeFrame({ ...said, ttl, isProxied: false }, { networkKey, crypto });
    const airtime = airtimeMs(said.payload.length, rateBps);
    const nowMs = performance.now();
    const atMs = this.#ledger.earliestMs(airtime, nowMs);
    if (atMs - nowMs > LONGEST_HOLD_MS) return;
    this.#ledger.book(atMs, airtime);
    if (atMs <= nowMs) radio.send(frame, airtime);
    else this.#later(atMs - nowMs, () => radio.send(frame, airtime));
  }

  #later(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** Major, minor, patch; what does not fit is cut. */
function versionBytes(text: string): [number, number, number] {
  const parts = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text)?.slice(1) ?? [];
  const [major = 0, minor = 0, patch = 0] = parts.map((part) => Math.min(255, Number(part ?? 0)));
  return [major, minor, patch];
}
