/** Looks at what was on air, with nothing in common with the ledger: does any window of the law hold too much? */
import type { AirtimeLimit } from "@airlift/protocol/zmesh/regions";

export interface OnAir {
  readonly startMs: number;
  readonly airtimeMs: number;
}

/**
 * How often a window held more than its budget, at most counted once for each transmission. The fullest windows end where a
 * transmission ends, so only these are looked at; what began before such a window counts with the part that lies in it.
 *
 * @param sent In the order of time.
 */
export function countViolations(sent: readonly OnAir[], limit: AirtimeLimit, budgetMs = limit.budgetMs): number {
  let violations = 0;
  let oldest = 0;
  let sumMs = 0;
  for (const { startMs, airtimeMs } of sent) {
    sumMs += airtimeMs;
    const fromMs = startMs + airtimeMs - limit.windowMs;
    while (endOf(sent[oldest]) <= fromMs) {
      sumMs -= sent[oldest]?.airtimeMs ?? 0;
      oldest += 1;
    }
    const outsideMs = Math.max(0, fromMs - (sent[oldest]?.startMs ?? 0));
    if (sumMs - outsideMs > budgetMs + TOLERANCE_MS) violations += 1;
  }
  return violations;
}

/** Sums of 10⁶ fractions of a millisecond are off by less. */
const TOLERANCE_MS = 1e-3;

const endOf = (each: OnAir | undefined): number => (each ? each.startMs + each.airtimeMs : Number.POSITIVE_INFINITY);
