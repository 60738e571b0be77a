/** When a device asks for packets, and for which: few at a time, and more and more seldom while nobody answers. */
import type { Random } from "../lib/core.ts";
import { encodeInterest, encodeRangeInterest, type InterestFields, LARGEST_RANGE } from "./interest.ts";
import type { ReceiverTiming } from "./receiver-types.ts";
import type { Reception } from "./reception.ts";

/** Packets that one request asks for: what a store sends in some seconds. */
export const PACKETS_PER_REQUEST = 16;

export class RequestPacer {
  readonly #timing: ReceiverTiming;
  readonly #random: Random;
  #pauseMs = 0;
  #dueAtMs: number | undefined;
  #fseq: number;

  constructor(timing: ReceiverTiming, random: Random) {
    this.#timing = timing;
    this.#random = random;
    this.#fseq = Math.floor(random() * 2 ** 24);
  }

  get dueAtMs(): number | undefined {
    return this.#dueAtMs;
  }

  begin(nowMs: number): void {
    this.#pauseMs = this.#timing.requestPauseMs;
    // Many devices may begin at the same moment.
    this.#dueAtMs = nowMs + this.#random() * this.#pauseMs;
  }

  /** Something came: the answer goes on, so the next question has time, and is not put off any further than the first. */
  heard(nowMs: number): void {
    if (this.#dueAtMs === undefined) return;
    this.#pauseMs = this.#timing.requestPauseMs;
    this.#dueAtMs = nowMs + this.#pauseMs;
  }

  /** The request that is due when only End of a content is missing. */
  endOf(dataCount: number, nowMs: number): InterestFields {
    this.#back(nowMs);
    return encodeInterest(dataCount + 1);
  }

  /** The request that is due. */
  next(reception: Reception | undefined, nowMs: number): InterestFields {
    this.#back(nowMs);
    if (reception === undefined) return encodeInterest(0);
    this.#fseq = (this.#fseq + 1) % 2 ** 24;
    return encodeRangeInterest(reception.wanted(PACKETS_PER_REQUEST, LARGEST_RANGE), this.#fseq);
  }

  #back(nowMs: number): void {
    this.#dueAtMs = nowMs + this.#pauseMs * (1 + this.#random());
    this.#pauseMs = Math.min(2 * this.#pauseMs, this.#timing.longestPauseMs);
  }
}
