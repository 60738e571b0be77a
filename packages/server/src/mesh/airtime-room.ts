/** When a sliding window that is used up has room again, from what a gateway told of it. Source: profile 7. */

/** Airtime used in the window that ended then. */
export interface AirtimePoint {
  /** Unix ms; what was used since the point before it counts from here on, which is later than it was. */
  readonly atMs: number;
  readonly usedMs: number;
}

/** A duty ledger as its gateway tells it. */
export interface AirtimeLedger {
  readonly budgetMs: number;
  readonly usedMs: number;
  readonly windowMs: number;
  /** What was used cannot be proven: how long all of it counts as used; 0 = it is known. */
  readonly doubtMs: number;
}

/** Whether `neededMs` may be sent now; of a ledger's whole budget, if it is less. */
export function hasRoom({ budgetMs, usedMs, doubtMs }: AirtimeLedger, neededMs: number): boolean {
  return doubtMs === 0 && budgetMs - usedMs >= Math.min(neededMs, budgetMs);
}

/**
 * The first instant with so much room if nothing is sent until then: never too early, and at most a window from now.
 *
 * @param points In order, as long as two windows back if they are known; without them the answer is the latest possible.
 */
export function roomAtMs(
  ledger: AirtimeLedger,
  points: readonly AirtimePoint[],
  { neededMs, nowMs }: { readonly neededMs: number; readonly nowMs: number },
): number {
  const { budgetMs, usedMs, windowMs, doubtMs } = ledger;
  if (hasRoom(ledger, neededMs)) return nowMs;
  if (doubtMs > 0) return nowMs + doubtMs;
  let leftMs = usedMs;
  for (const { atMs, usedMs: spentMs } of spendings([...points, { atMs: nowMs, usedMs }], windowMs)) {
    if (atMs + windowMs <= nowMs) continue;
    leftMs -= spentMs;
    if (budgetMs - leftMs >= Math.min(neededMs, budgetMs)) return Math.min(atMs, nowMs) + windowMs;
  }
  return nowMs + windowMs;
}

/** What was sent when: between two points the window grew by that, less what left it. */
function spendings(points: readonly AirtimePoint[], windowMs: number): AirtimePoint[] {
  const spent: AirtimePoint[] = [];
  for (const { atMs, usedMs } of points) {
    const stillIn = spent.reduce((sum, one) => (one.atMs > atMs - windowMs ? sum + one.usedMs : sum), 0);
    if (usedMs - stillIn > 0) spent.push({ atMs, usedMs: usedMs - stillIn });
  }
  return spent;
}
