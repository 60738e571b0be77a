/** What a receiver's deadlines are: each from the record, the time of day as it is known, and when something was heard last. */
import { AT_ONCE, isInstant, NEVER } from "./instant.ts";
import type { ReceiverRecord, ReceiverTiming } from "./receiver-types.ts";

/** Gaps without a packet that count as silence. */
const SILENT_GAPS = 20;

/** What a deadline depends on beside the record and the time. */
export interface DeadlineFacts {
  /** As announced; `undefined` = it was not. */
  readonly gapMs: number | undefined;
  readonly canRequest: boolean;
  /** All is there but End. */
  readonly lacksEnd: boolean;
  /** When the next request is due, if one is. */
  readonly requestDueAtMs: number | undefined;
}

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

  /** When something is due in the record's state if nothing happens before; `undefined` = never, or not known yet. */
  deadlineMs(record: ReceiverRecord, facts: DeadlineFacts): number | undefined {
    const { gapMs = this.#timing.gapMs, canRequest, requestDueAtMs } = facts;
    switch (record.state) {
      case "waiting":
      case "suspended":
        return this.#abandonedOr(canRequest ? this.#requestAtMs(record, gapMs) : undefined, record);
      case "receiving":
      case "repairing":
        return this.lastHeardAtMs + this.#silenceMs(gapMs);
      case "pulling":
        return this.#abandonedOr(requestDueAtMs, record);
      case "verified":
        return facts.lacksEnd ? this.#endRequestAtMs(record, facts) : this.#applyAtMs(record);
      case "idle":
      case "applying":
        return undefined;
    }
  }

  /** When a session that is stuck is over; infinity for one without a time, or while the time of day is not known. */
  abandonAtMs(record: ReceiverRecord): number {
    return this.#updateAtMs(record) + this.#timing.windowMs;
  }

  /** When a device that heard nothing, or nothing more, asks itself; infinity while that cannot be said. */
  #requestAtMs(record: ReceiverRecord, gapMs: number): number {
    const sinceMs = record.state === "waiting" ? this.#updateAtMs(record) : this.lastHeardAtMs;
    return sinceMs + this.#silenceMs(gapMs) + this.#timing.patienceMs;
  }

  /** After the window nobody has End any more, and the Apply command alone can help. */
  #endRequestAtMs(record: ReceiverRecord, { canRequest, requestDueAtMs }: DeadlineFacts): number | undefined {
    const isInTime = requestDueAtMs !== undefined && requestDueAtMs < this.abandonAtMs(record);
    return canRequest && isInTime ? requestDueAtMs : undefined;
  }

  #abandonedOr(atMs: number | undefined, record: ReceiverRecord): number | undefined {
    const dueAtMs = Math.min(atMs ?? Number.POSITIVE_INFINITY, this.abandonAtMs(record));
    return Number.isFinite(dueAtMs) ? dueAtMs : undefined;
  }

  /** When a verified image is to be applied; `undefined` = on command, or not known yet. */
  #applyAtMs({ end }: ReceiverRecord): number | undefined {
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
