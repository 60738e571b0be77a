/** Traffic for a duty ledger: as much as it lets through, most of the time, on a machine that restarts now and then. */
import type { Random } from "@airlift/protocol/lib/core";
import { DutyLedger } from "@airlift/protocol/zmesh/duty-ledger";
import type { AirtimeLimit } from "@airlift/protocol/zmesh/regions";
import type { OnAir } from "./sliding-window.ts";

/** `count` transmissions of 1 … 26 ms, in the order of time. The time that the machine was off is known to nobody, or wrong. */
export function randomTraffic(limit: AirtimeLimit, count: number, random: Random): OnAir[] {
  let ledger = new DutyLedger(limit);
  const sent: OnAir[] = [];
  let nowMs = 0;
  while (sent.length < count) {
    if (random() < 0.002) {
      const record = ledger.record(nowMs, 0);
      nowMs += random() * limit.windowMs * 0.2;
      ledger = new DutyLedger(limit);
      ledger.restore(record, nowMs, random() < 0.5 ? 0 : -1e9);
    }
    const airtimeMs = 1 + Math.floor(random() * 100) / 4;
    nowMs = ledger.earliestMs(airtimeMs, nowMs + (random() < 0.9 ? 0 : random() * limit.windowMs * 0.05));
    ledger.book(nowMs, airtimeMs);
    sent.push({ startMs: nowMs, airtimeMs });
    nowMs += airtimeMs;
  }
  return sent;
}
