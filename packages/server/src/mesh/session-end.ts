/** When a broadcast that is under way is expected to be over. Source: profile 7. */
import type { AirWindow } from "@airlift/protocol/api/gateway";
import type { AirtimeLedger } from "./airtime-room.ts";

export interface SessionPace {
  readonly windows: readonly AirWindow[];
  /** In the mean, as planned; and what has been used of it. */
  readonly plannedAirtimeMs: number;
  readonly usedAirtimeMs: number;
  /** Time for each millisecond of air, ≥ 1: devices program between two packets. */
  readonly paceRatio: number;
  /** Of its gateway; undefined when nothing is known of it. */
  readonly ledger: AirtimeLedger | undefined;
}

/** Undefined when it has used more than was planned: nobody can say. Never later than its last window's end. */
export function expectedEndMs(pace: SessionPace, nowMs: number): number | undefined {
  const { windows, plannedAirtimeMs, usedAirtimeMs, paceRatio, ledger } = pace;
  const airtimeMs = plannedAirtimeMs - usedAirtimeMs;
  if (airtimeMs <= 0) return undefined;
  let leftMs = airtimeMs * paceRatio + lawfulWaitMs(airtimeMs, ledger);
  for (const { fromMs, untilMs } of windows) {
    const beginMs = Math.max(nowMs, fromMs);
    if (beginMs >= untilMs) continue;
    if (leftMs <= untilMs - beginMs) return beginMs + leftMs;
    leftMs -= untilMs - beginMs;
  }
  return windows.at(-1)?.untilMs;
}

/** How long the law makes it last beyond its own pace: what does not fit into this window goes into those after it. */
export function lawfulWaitMs(
  airtimeMs: number,
  ledger: Pick<AirtimeLedger, "budgetMs" | "usedMs" | "windowMs"> | undefined,
): number {
  if (ledger === undefined) return 0;
  const { budgetMs, usedMs, windowMs } = ledger;
  const freeMs = Math.max(0, budgetMs - usedMs);
  return airtimeMs <= freeMs ? 0 : Math.ceil((airtimeMs - freeMs) / Math.max(1, budgetMs)) * windowMs;
}
