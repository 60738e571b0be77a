import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AirtimePoint, roomAtMs } from "./airtime-room.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const ledger = { budgetMs: 32_400, usedMs: 32_400, windowMs: HOUR_MS, doubtMs: 0 };

test("with room it is now, and a ledger whose use is in doubt has room when the doubt is over", () => {
  const at = { neededMs: 400, nowMs: 5 };
  assert.equal(roomAtMs({ ...ledger, usedMs: 32_000 }, [], at), 5);
  assert.equal(roomAtMs({ ...ledger, usedMs: 32_001 }, [], at), 5 + HOUR_MS);
  assert.equal(roomAtMs({ ...ledger, doubtMs: 1_000 }, [], at), 1_005);
});

test("room comes when what was sent an hour before leaves the window, the oldest first", () => {
  const points = [
    { atMs: 0, usedMs: 0 },
    { atMs: 10 * MINUTE_MS, usedMs: 20_000 },
    { atMs: 11 * MINUTE_MS, usedMs: 20_000 },
    { atMs: 30 * MINUTE_MS, usedMs: 32_400 },
  ];
  const nowMs = 40 * MINUTE_MS;
  assert.equal(roomAtMs(ledger, points, { neededMs: 20_000, nowMs }), 70 * MINUTE_MS);
  assert.equal(roomAtMs(ledger, points, { neededMs: 20_001, nowMs }), 90 * MINUTE_MS);
  assert.equal(roomAtMs(ledger, points, { neededMs: 1e9, nowMs }), 90 * MINUTE_MS);
});

test("whatever was sent when, room is never promised too early, nor later than a window from now", () => {
  const sent = fc.array(
    fc.record({ minute: fc.integer({ min: 0, max: 119 }), ms: fc.integer({ min: 1, max: 5_000 }) }),
    {
      minLength: 1,
      maxLength: 40,
    },
  );
  fc.assert(
    fc.property(sent, fc.integer({ min: 1, max: 20_000 }), (all, neededMs) => {
      const nowMs = 120 * MINUTE_MS;
      const usedAt = (atMs: number) =>
        all.reduce((sum, { minute, ms }) => {
          const sentAtMs = minute * MINUTE_MS;
          return sentAtMs <= Math.min(atMs, nowMs) && sentAtMs > atMs - HOUR_MS ? sum + ms : sum;
        }, 0);
      const points: AirtimePoint[] = Array.from({ length: 120 }, (_, i) => ({
        atMs: i * MINUTE_MS,
        usedMs: usedAt(i * MINUTE_MS),
      }));
      const usedMs = usedAt(nowMs);
      const budgetMs = Math.max(usedMs, neededMs);
      const atMs = roomAtMs({ budgetMs, usedMs, windowMs: HOUR_MS, doubtMs: 0 }, points, { neededMs, nowMs });
      assert.ok(atMs >= nowMs && atMs <= nowMs + HOUR_MS);
      assert.ok(budgetMs - usedAt(atMs) >= neededMs, `${budgetMs - usedAt(atMs)} ms free at ${atMs}`);
    }),
  );
});
