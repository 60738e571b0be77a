import assert from "node:assert/strict";
import { test } from "node:test";
import { randomTraffic } from "@airlift/sim/mesh/random-traffic";
import { countViolations } from "@airlift/sim/mesh/sliding-window";
import { seeded } from "@airlift/sim/world";
import { DutyLedger } from "./duty-ledger.ts";
import { SUB_BANDS, subBandNamed } from "./regions.ts";

const HOUR_MS = 3_600_000;
const limit = subBandNamed("868.0-868.6")?.limit ?? assert.fail();

test("§7: the table of sub-bands is that of the law, each with its source", () => {
  const budgets = Object.fromEntries(SUB_BANDS.map((band) => [band.name, band.limit.budgetMs]));
  assert.deepEqual(budgets, {
    "433.05-434.79": 360_000,
    "863.0-865.0": 3_600,
    "865.0-868.0": 36_000,
    "868.0-868.6": 36_000,
    "868.7-869.2": 3_600,
    "869.4-869.65": 360_000,
    "869.7-870.0": 36_000,
    "869.7-870.0/5mW": 3_600_000,
    "863.0-870.0/lbt": 100_000,
    "902.0-928.0/50": 400,
    "902.0-928.0/25": 400,
  });
  for (const { source } of SUB_BANDS) assert.match(source, /EN 300 220-2|47 CFR/);
});

test("§7: a burst that uses the whole budget but the reserve is legal, and then there is silence for the hour", () => {
  const ledger = new DutyLedger(limit);
  let atMs = 0;
  let sentMs = 0;
  for (; ledger.earliestMs(10, atMs) === atMs; atMs += 10, sentMs += 10) ledger.book(atMs, 10);
  assert.equal(sentMs, 32_400);
  assert.ok(ledger.earliestMs(10, atMs) >= HOUR_MS);
  assert.throws(() => ledger.book(atMs, 10), { name: "BugError", code: "DUTY_EXCEEDED" });
  assert.equal(ledger.earliestMs(40_000, atMs), Number.POSITIVE_INFINITY, "longer than the budget: never");
});

test("§7: in 10⁵ packets of random traffic, with restarts and clocks that jump, no window holds more than 90 %", () => {
  for (const band of SUB_BANDS) {
    for (let seed = 1; seed <= 3; seed += 1) {
      const sent = randomTraffic(band.limit, 3_500, seeded(seed));
      assert.equal(countViolations(sent, band.limit, 0.9 * band.limit.budgetMs), 0, `${band.name}, seed ${seed}`);
    }
  }
});

test("the checker sees what a ledger must not let through", () => {
  const burst = Array.from({ length: 3_601 }, (_, i) => ({ startMs: i * 10, airtimeMs: 10 }));
  assert.equal(countViolations(burst, limit), 1);
  assert.equal(countViolations(burst.slice(1), limit), 0);
  const spread = [0, HOUR_MS - 5].map((startMs) => ({ startMs, airtimeMs: 36_000 }));
  assert.equal(countViolations(spread, limit), 1);
});

test("§7: after a restart the past counts as if no time had gone by, unless somebody can vouch for it", () => {
  const before = new DutyLedger(limit);
  before.book(0, 32_400);
  const record = JSON.parse(JSON.stringify(before.record(40_000, 0)));
  for (const [downtimeMs, freeAtMs] of [
    [0, HOUR_MS - 7_600],
    [1_000_000, HOUR_MS - 1_007_600],
    [-5_000, HOUR_MS - 7_600],
  ] as const) {
    const after = new DutyLedger(limit);
    after.restore(record, 0, downtimeMs);
    assert.equal(after.earliestMs(0.001, 0), freeAtMs - 0.001, `${downtimeMs} ms off`);
  }
});

test("§7: what may be sent before the next record is stored counts in the record, as used", () => {
  const before = new DutyLedger(limit);
  const after = new DutyLedger(limit);
  after.restore(before.record(0, 700), 0);
  assert.equal(after.usedMs(0), 700);
});

test("§7: what was sent after the record counts from the restart on, however long ago the record was made", () => {
  const after = new DutyLedger(limit);
  // Recorded, half an hour of sending up to the last moment, restarted at once.
  after.restore(new DutyLedger(limit).record(0, 32_400), HOUR_MS / 2, HOUR_MS / 2);
  assert.ok(after.earliestMs(1, HOUR_MS / 2) >= HOUR_MS / 2 + HOUR_MS - 1);
});

test("§7: to ask what may be sent later changes nothing for who sends before", () => {
  const ledger = new DutyLedger(limit);
  ledger.book(0, 32_400);
  assert.equal(ledger.earliestMs(10, 2 * HOUR_MS), 2 * HOUR_MS);
  assert.equal(ledger.usedMs(2 * HOUR_MS), 0);
  assert.equal(ledger.usedMs(40_000), 32_400);
  assert.ok(ledger.earliestMs(10, 40_000) >= HOUR_MS);
});

test("§7: what another part of the transmitter has sent blocks even beyond the limit", () => {
  const ledger = new DutyLedger(limit);
  ledger.count(0, 50_000);
  assert.ok(ledger.earliestMs(1, 60_000) >= HOUR_MS + 50_000 - 1);
});

test("§7 listen before talk: 100 ms off after each transmission", () => {
  const ledger = new DutyLedger(subBandNamed("863.0-870.0/lbt")?.limit ?? assert.fail());
  ledger.book(0, 10);
  assert.equal(ledger.earliestMs(10, 10), 110);
});
