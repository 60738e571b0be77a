/** Answers devices that ask for packets while no broadcast of theirs is on: from the content store, within the law. */
import { toHex } from "@airlift/protocol/lib/bytes";
import { type AirTurn, turnAtMs } from "@airlift/protocol/zmesh/air-turns";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { ContentMessage, ContentStore, OpenedContent } from "@airlift/protocol/zmesh/content-store";
import type { Frame } from "@airlift/protocol/zmesh/frame";
import type { Air } from "./air.ts";
import { EdgeTimer } from "./edge-timer.ts";
import type { LedgerFile } from "./ledger-file.ts";
import { monotonicMs, type WallClock } from "./wall-clock.ts";

/** Packets that wait to be sent at a time. */
export const MAX_WANTED_PACKETS = 4_096;

/** A content that is answered for. */
export interface HeldContent {
  readonly shape: OpenedContent;
  readonly rateBps: number;
  readonly ttl: number;
  /** The turns of its session, UTC: devices that ask in a neighbour's turn get it in the next of these. */
  readonly windows: readonly AirTurn[];
}

export class InterestDesk {
  readonly #air: Air;
  readonly #ledger: LedgerFile;
  readonly #store: ContentStore;
  readonly #clock: WallClock;
  readonly #timer = new EdgeTimer(() => this.#run());
  readonly #wanted = new Map<string, { readonly message: ContentMessage; readonly held: HeldContent }>();
  #busyUntilMs = 0;

  constructor({ air, ledger, store, clock }: { air: Air; ledger: LedgerFile; store: ContentStore; clock: WallClock }) {
    this.#air = air;
    this.#ledger = ledger;
    this.#store = store;
    this.#clock = clock;
  }

  /** Takes one Interest for a content that is held. */
  async take(frame: Frame, held: HeldContent): Promise<void> {
    this.#store.open(held.shape, monotonicMs());
    for (const message of await this.#store.answer(frame)) {
      if (this.#wanted.size >= MAX_WANTED_PACKETS) break;
      this.#wanted.set(`${toHex(message.name)}/${message.seq}`, { message, held });
    }
    this.#run();
  }

  /** What still waits of a content is not sent any more. */
  forget(name: string): void {
    for (const key of this.#wanted.keys()) if (key.startsWith(`${name}/`)) this.#wanted.delete(key);
  }

  close(): void {
    this.#timer.stop();
    this.#wanted.clear();
  }

  #run(): void {
    const [next] = this.#wanted;
    if (next === undefined) return;
    const [key, { message, held }] = next;
    const airtime = airtimeMs(message.payload.length, held.rateBps);
    const nowMs = monotonicMs();
    const utcMs = this.#clock.utcMs(nowMs);
    const silenceMs = turnAtMs(held.windows, utcMs) - utcMs;
    if (silenceMs === Number.POSITIVE_INFINITY) {
      this.#wanted.delete(key);
      this.#timer.arm(0);
      return;
    }
    const atMs = this.#ledger.earliestMs(airtime, Math.max(nowMs + silenceMs, this.#busyUntilMs));
    if (atMs > nowMs) {
      this.#timer.arm(atMs - nowMs);
      return;
    }
    this.#wanted.delete(key);
    this.#ledger.book(nowMs, airtime);
    this.#busyUntilMs = nowMs + airtime;
    const { name, seq: fseq, payload } = message;
    this.#air.say({ kind: "content", ttl: held.ttl, rateBps: held.rateBps, name, fseq, payload });
    this.#timer.arm(airtime);
  }
}
