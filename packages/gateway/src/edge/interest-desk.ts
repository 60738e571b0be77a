/** Answers devices that ask for packets while no broadcast of theirs is on: from the content store, within the law. */
import { toHex } from "@airlift/protocol/lib/bytes";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { ContentMessage, ContentStore, OpenedContent } from "@airlift/protocol/zmesh/content-store";
import type { Frame } from "@airlift/protocol/zmesh/frame";
import type { Air } from "./air.ts";
import { EdgeTimer } from "./edge-timer.ts";
import type { LedgerFile } from "./ledger-file.ts";
import { monotonicMs } from "./wall-clock.ts";

/** Packets that wait to be sent at a time. */
export const MAX_WANTED_PACKETS = 4_096;

/** A content that is answered for. */
export interface HeldContent {
  readonly shape: OpenedContent;
  readonly rateBps: number;
  readonly ttl: number;
}

export class InterestDesk {
  readonly #air: Air;
  readonly #ledger: LedgerFile;
  readonly #store: ContentStore;
  readonly #timer = new EdgeTimer(() => this.#run());
  readonly #wanted = new Map<string, { readonly message: ContentMessage; readonly held: HeldContent }>();
  #busyUntilMs = 0;

  constructor({ air, ledger, store }: { air: Air; ledger: LedgerFile; store: ContentStore }) {
    this.#air = air;
    this.#ledger = ledger;
    this.#store = store;
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
    const atMs = this.#ledger.earliestMs(airtime, Math.max(nowMs, this.#busyUntilMs));
    if (atMs > nowMs) {
      this.#timer.arm(atMs - nowMs);
      return;
    }
    this.#wanted.delete(key);
    this.#ledger.book(nowMs, airtime);
    this.#busyUntilMs = nowMs + airtime;
    this.#air.say({ kind: "content", ttl: held.ttl, name: message.name, fseq: message.seq, payload: message.payload });
    this.#timer.arm(airtime);
  }
}
