/** Traffic for a duty ledger: as much as it lets through, most of the time, on a machine that restarts now and then. */
import type { Random } from "@airlift/protocol/lib/core";
import { DutyLedger } from "@airlift/protocol/zmesh/duty-ledger";
import type { AirtimeLimit } from "@airlift/protocol/zmesh/regions";
import type { OnAir } from "./sliding-window.ts";

/** Airtime that a record allows for until the next one. */
const AHEAD_MS = 64;

/**
 * `count` transmissions of 1 … 26 ms, in the order of time, of a machine that loses what it booked after its last record. The
 * time since then is known to nobody, or wrong, or right; and now and then somebody asks what may be sent much later.
 */
export function randomTraffic(limit: AirtimeLimit, count: number, random: Random): OnAir[] {
  let ledger = new DutyLedger(limit);
  const sent: OnAir[] = [];
  let nowMs = 0;
  const send = (airtimeMs: number) => {
    ledger.book(nowMs, airtimeMs);
    sent.push({ startMs: nowMs, airtimeMs });
    nowMs += airtimeMs;
  };
  while (sent.length < count) {
    if (random() < 0.002) {
      const record = ledger.record(nowMs, AHEAD_MS);
      const recordedAtMs = nowMs;
      for (let leftMs = AHEAD_MS; leftMs >= 16; leftMs -= 16) {
        nowMs = ledger.earliestMs(16, nowMs + random() * limit.windowMs * 0.05);
        send(16);
      }
      nowMs += random() * limit.windowMs * 0.2;
      ledger = new DutyLedger(limit);
      ledger.restore(record, nowMs, [0, -1e9, nowMs - recordedAtMs][Math.floor(random() * 3)]);
    }
    if (random() < 0.01) ledger.earliestMs(1, nowMs + random() * limit.windowMs);
    const airtimeMs = 1 + Math.floor(random() * 100) / 4;
    nowMs = ledger.earliestMs(airtimeMs, nowMs + (random() < 0.9 ? 0 : random() * limit.windowMs * 0.05));
    send(airtimeMs);
  }
  return sent;
}
