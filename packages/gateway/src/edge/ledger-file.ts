/**
 * A duty ledger that survives a power cut at any moment: before airtime is used it is granted on disk, so that a restart counts
 * at least what was used.
 */
import type { LedgerState } from "@airlift/protocol/api/gateway";
import { DutyLedger, type LedgerRecord } from "@airlift/protocol/zmesh/duty-ledger";
import type { AirtimeLimit } from "@airlift/protocol/zmesh/regions";
import { z } from "zod";
import { readJson, replaceFile } from "./durable-file.ts";
import { type MachineMoment, machineMoment, provenDowntimeMs } from "./machine-time.ts";

/** Airtime that one write grants, and that a power cut may cost: 90 packets of the usual size, or less where a budget is small. */
const GRANT_MS = 1_000;
const LARGEST_GRANT_SHARE = 0.02;

export interface LedgerFileOptions {
  readonly path: string;
  readonly limit: AirtimeLimit;
  /** Whether this transmitter was ever on air: then a ledger that is missing was lost, and all of its budget counts as used. */
  readonly wasUsed: boolean;
  readonly reserveShare?: number;
  /** For tests. */
  readonly now?: () => MachineMoment;
  readonly downtimeMs?: (then: MachineMoment, now: MachineMoment) => number;
}

const Stored = z.object({
  bootId: z.string(),
  monotonicMs: z.number(),
  windowMs: z.number(),
  entries: z.array(z.object({ ageMs: z.number(), airtimeUs: z.number().min(0) })).max(10_000),
  aheadUs: z.number().min(0),
});

export class LedgerFile extends DutyLedger {
  readonly #options: LedgerFileOptions;
  readonly #limit: AirtimeLimit;
  readonly #now: () => MachineMoment;
  /** Until then all of the budget counts as used because nobody knows better. */
  readonly #doubtUntilMs: number;
  #grantedMs = 0;

  /** Reads the ledger. One process at a time: the caller holds a lock. The errors are those of node:fs. */
  constructor(options: LedgerFileOptions) {
    super(options.limit, options.reserveShare);
    this.#options = options;
    this.#limit = options.limit;
    this.#now = options.now ?? machineMoment;
    this.#doubtUntilMs = this.#load();
  }

  /** How long the doubt about what was used still matters. */
  doubtMs(nowMs: number): number {
    return Math.max(0, this.#doubtUntilMs - nowMs);
  }

  /** Durable before it returns; node:fs may throw, and then nothing is booked. */
  override book(startMs: number, airtimeMs: number): void {
    if (this.earliestMs(airtimeMs, startMs) <= startMs) this.#grant(airtimeMs);
    super.book(startMs, airtimeMs);
    this.#grantedMs -= airtimeMs;
  }

  /** As the server is told. */
  state(band: string): LedgerState {
    const { monotonicMs } = this.#now();
    return {
      band,
      windowMs: this.#limit.windowMs,
      budgetMs: this.budgetMs,
      usedMs: this.usedMs(monotonicMs),
      doubtMs: this.doubtMs(monotonicMs),
    };
  }

  /** Writes what was used, without anything granted; for an orderly end. */
  save(): void {
    this.#write(0);
  }

  #grant(airtimeMs: number): void {
    if (this.#grantedMs >= airtimeMs) return;
    this.#write(Math.max(airtimeMs, Math.min(GRANT_MS, this.#limit.budgetMs * LARGEST_GRANT_SHARE)));
  }

  #write(grantMs: number): void {
    const moment = this.#now();
    const record = this.record(moment.monotonicMs, grantMs);
    replaceFile(this.#options.path, JSON.stringify({ ...moment, windowMs: this.#limit.windowMs, ...record }));
    this.#grantedMs = grantMs;
  }

  /** @returns Until when there is doubt. */
  #load(): number {
    const { path, wasUsed, downtimeMs = provenDowntimeMs } = this.#options;
    const found = readJson(path);
    const moment = this.#now();
    if (found === undefined && !wasUsed) return 0;
    const stored = Stored.safeParse(found);
    if (!stored.success || stored.data.windowMs < this.#limit.windowMs) {
      this.count(moment.monotonicMs, this.budgetMs);
      return moment.monotonicMs + this.#limit.windowMs;
    }
    const { bootId, monotonicMs, entries, aheadUs } = stored.data;
    const record: LedgerRecord = { entries, aheadUs };
    this.restore(record, moment.monotonicMs, downtimeMs({ bootId, monotonicMs }, moment));
    return 0;
  }
}
