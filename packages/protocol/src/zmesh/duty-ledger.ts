/**
 * The airtime one transmitter has used in one sub-band (or on one channel), all its traffic together, so that no sliding
 * window ever holds more than the law allows.
 *
 * Transmissions are kept in up to `ENTRIES_PER_WINDOW` + 2 entries, each counted whole until the window has left its last transmission
 * behind. So the sum never says less than the truth, and at most a 360th of the window more. Times are monotonic: a wall
 * clock that jumps does not reach this file.
 */
import { BugError } from "../lib/errors.ts";
import type { AirtimeLimit } from "./regions.ts";

/** Share of the budget that is left alone by default, for what has to go out whatever happens. */
export const DEFAULT_RESERVE_SHARE = 0.1;

/** What outlives a restart. */
export interface LedgerRecord {
  /** How long before the record was made each entry ended, negative while it is on air; and its airtime. */
  readonly entries: readonly { readonly ageMs: number; readonly airtimeUs: number }[];
  /** Airtime that may have been used between the record and the end of that run. */
  readonly aheadUs: number;
}

interface Entry {
  readonly startMs: number;
  endMs: number;
  airtimeUs: number;
}

const ENTRIES_PER_WINDOW = 360;

export class DutyLedger {
  readonly #limit: AirtimeLimit;
  readonly #budgetUs: number;
  /** In the order of time. */
  readonly #entries: Entry[] = [];
  /** The sum over all entries. */
  #usedUs = 0;

  constructor(limit: AirtimeLimit, reserveShare: number = DEFAULT_RESERVE_SHARE) {
    this.#limit = limit;
    this.#budgetUs = Math.floor(limit.budgetMs * 1000 * (1 - reserveShare));
  }

  /** The budget that is left after the reserve. */
  get budgetMs(): number {
    return this.#budgetUs / 1000;
  }

  /** Airtime that a window which ends at `nowMs` holds; never too little. */
  usedMs(nowMs: number): number {
    let usedUs = 0;
    for (const { endMs, airtimeUs } of this.#entries) if (endMs + this.#limit.windowMs > nowMs) usedUs += airtimeUs;
    return usedUs / 1000;
  }

  /**
   * When a transmission may begin: `nowMs` or later; infinity when it is longer than the whole budget. Nothing is booked and
   * nothing forgotten: one may ask for a time to come while others still send before it.
   */
  earliestMs(airtimeMs: number, nowMs: number): number {
    const airtimeUs = microseconds(airtimeMs);
    if (airtimeUs > this.#budgetUs) return Number.POSITIVE_INFINITY;
    const last = this.#entries.at(-1);
    let startMs = Math.max(nowMs, last ? last.endMs + this.#limit.offMs : nowMs);
    let usedUs = this.#usedUs;
    for (const entry of this.#entries) {
      const goneAtMs = entry.endMs + this.#limit.windowMs - airtimeMs;
      if (goneAtMs > startMs) {
        if (usedUs + airtimeUs <= this.#budgetUs) break;
        startMs = goneAtMs;
      }
      usedUs -= entry.airtimeUs;
    }
    return startMs;
  }

  /**
   * Books a transmission before it is made.
   *
   * @throws {BugError} `DUTY_EXCEEDED` when it may not begin yet: nothing is booked.
   */
  book(startMs: number, airtimeMs: number): void {
    if (this.earliestMs(airtimeMs, startMs) > startMs)
      throw new BugError("DUTY_EXCEEDED", "this transmission would break the limit", { startMs, airtimeMs });
    this.#add(startMs, airtimeMs);
  }

  /**
   * Counts airtime that another part of the transmitter has already used or may use until the next record; it may go over
   * the limit, and then blocks what follows.
   */
  count(startMs: number, airtimeMs: number): void {
    this.#add(startMs, airtimeMs);
  }

  /** All that is needed to go on after a restart. @param aheadMs Airtime that may be used before the next record is stored. */
  record(nowMs: number, aheadMs: number): LedgerRecord {
    this.#forget(nowMs);
    const entries = this.#entries.map(({ endMs, airtimeUs }) => ({ ageMs: nowMs - endMs, airtimeUs }));
    return { entries, aheadUs: microseconds(aheadMs) };
  }

  /**
   * Takes over the record of an earlier run. Nobody knows how long the machine was off unless a clock that does not jump
   * says so; then the past counts as if no time had gone by. What was sent after the record was made may have been sent just
   * now, whatever the clock says.
   *
   * @param downtimeMs Time since the record was made that can be vouched for, 0 when none can.
   */
  restore(record: LedgerRecord, nowMs: number, downtimeMs = 0): void {
    const entries = record.entries.map(({ ageMs, airtimeUs }) => {
      const endMs = nowMs - ageMs - Math.max(0, downtimeMs);
      return { startMs: endMs, endMs, airtimeUs };
    });
    const { aheadUs } = record;
    if (aheadUs > 0) entries.push({ startMs: nowMs, endMs: nowMs, airtimeUs: aheadUs });
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#usedUs += entry.airtimeUs;
    }
    this.#entries.sort((a, b) => a.endMs - b.endMs);
    this.#forget(nowMs);
  }

  #add(startMs: number, airtimeMs: number): void {
    const airtimeUs = microseconds(airtimeMs);
    const last = this.#entries.at(-1);
    // Time does not run backwards here: what seems to be earlier is booked with the latest.
    const fromMs = Math.max(startMs, last?.endMs ?? startMs);
    const endMs = fromMs + airtimeMs;
    if (last && endMs - last.startMs <= this.#limit.windowMs / ENTRIES_PER_WINDOW) {
      last.endMs = endMs;
      last.airtimeUs += airtimeUs;
    } else this.#entries.push({ startMs: fromMs, endMs, airtimeUs });
    this.#usedUs += airtimeUs;
    this.#forget(fromMs);
  }

  #forget(nowMs: number): void {
    let gone = 0;
    for (const { endMs, airtimeUs } of this.#entries) {
      if (endMs + this.#limit.windowMs > nowMs) break;
      this.#usedUs -= airtimeUs;
      gone += 1;
    }
    if (gone > 0) this.#entries.splice(0, gone);
  }
}

const microseconds = (ms: number): number => Math.ceil(Math.round(ms * 1e6) / 1000);
