/** What a receiver's deadlines are: each from the record, the time of day as it is known, and when something was heard last. */
import { AT_ONCE, isInstant, NEVER } from "./instant.ts";
import type { ReceiverRecord, ReceiverTiming } from "./receiver-types.ts";

/** Gaps without a packet that count as silence. */
const SILENT_GAPS = 20;

export class ReceiverClock {
  /** Monotonic, of the last message or poll. */
  lastHeardAtMs: number;
  readonly #timing: ReceiverTiming;
  /** Monotonic time at which the wall clock showed 0; `undefined` while nobody knows. */
  #utcZeroAtMs: number | undefined;

  constructor(timing: ReceiverTiming, nowMs: number) {
    this.#timing = timing;
    this.lastHeardAtMs = nowMs;
  }

  /** The time of day is `utcMs` now. */
  set(utcMs: number, nowMs: number): void {
    this.#utcZeroAtMs = nowMs - utcMs;
  }

  /** When the session counts as suspended if nothing comes. @param gapMs As announced, if it was. */
  silentAtMs(gapMs: number = this.#timing.gapMs): number {
    return this.lastHeardAtMs + this.#silenceMs(gapMs);
  }

  /** When a device that heard nothing, or nothing more, asks itself; infinity while that cannot be said. */
  requestAtMs(record: ReceiverRecord, gapMs: number = this.#timing.gapMs): number {
    const sinceMs = record.state === "waiting" ? this.#updateAtMs(record) : this.lastHeardAtMs;
    return sinceMs + this.#silenceMs(gapMs) + this.#timing.patienceMs;
  }

  /** When a session that is stuck is over; infinity for one without a time, or while the time of day is not known. */
  abandonAtMs(record: ReceiverRecord): number {
    return this.#updateAtMs(record) + this.#timing.windowMs;
  }

  /** When a verified image is to be applied; `undefined` = on command, or not known yet. */
  applyAtMs({ end }: ReceiverRecord): number | undefined {
    if (end === undefined || end.applyAtMs === NEVER) return undefined;
    if (!isInstant(end.applyAtMs)) return 0;
    const atMs = this.#monotonic(end.applyAtMs);
    return Number.isFinite(atMs) ? atMs : undefined;
  }

  #silenceMs(gapMs: number): number {
    return Math.max(this.#timing.silenceMs, SILENT_GAPS * gapMs);
  }

  #updateAtMs({ schedule }: ReceiverRecord): number {
    const { updateAtMs = AT_ONCE } = schedule ?? {};
    return updateAtMs === AT_ONCE ? Number.POSITIVE_INFINITY : this.#monotonic(updateAtMs);
  }

  #monotonic(utcMs: number): number {
    return this.#utcZeroAtMs === undefined ? Number.POSITIVE_INFINITY : utcMs + this.#utcZeroAtMs;
  }
}
