import assert from "node:assert/strict";
import { test } from "node:test";
import {
  idealPackets,
  isLate,
  isPullCheaper,
  lossAfter,
  normalQuantile,
  openLoopRepairs,
  repairsForDeficit,
} from "./repair-plan.ts";

test("§10: the closed form gives the published limits within 0.2 %", () => {
  for (const [loss, deviceCount, ratio] of [
    [0.01, 10_000, 1.02],
    [0.05, 10, 1.061],
    [0.05, 1_000, 1.071],
    [0.05, 10_000, 1.074],
    [0.2, 10_000, 1.3],
  ] as const) {
    const expected = idealPackets({ dataCount: 2000, loss }, deviceCount) / 2000;
    assert.ok(Math.abs(expected / ratio - 1) < 0.0021, `${loss} ${deviceCount}: ${expected} and not ${ratio}`);
  }
});

test("the normal quantile is the tabulated one", () => {
  for (const [share, z] of [
    [0.5, 0],
    [0.975, 1.959964],
    [0.98, 2.053749],
    [0.999944, 3.86],
    [0.02, -2.053749],
  ] as const)
    assert.ok(Math.abs(normalQuantile(share) - z) < 0.005, `${share}: ${normalQuantile(share)}`);
});

test("§8: the open loop is the parity that brings 98 of 100 devices to their end", () => {
  // 100 lost in the mean, 10 to a standard deviation, two more for the code; of what is sent 5 % gets lost.
  assert.equal(openLoopRepairs({ dataCount: 2000, loss: 0.05 }), 130);
  assert.equal(openLoopRepairs({ dataCount: 2000, loss: 0 }), 2);
  assert.ok(openLoopRepairs({ dataCount: 2000, loss: 0.05, clumping: 9 }) > 160);
});

test("§8: max deficit / (1 − p) + 2 more", () => {
  assert.equal(repairsForDeficit(10, 0.05), 13);
  assert.equal(repairsForDeficit(1, 0), 3);
});

test("§8: stragglers ask for themselves only when that is less than the parity still needed", () => {
  assert.ok(isPullCheaper([3], 0.05));
  assert.ok(isPullCheaper([3, 1], 0.05));
  assert.ok(!isPullCheaper([3, 3], 0.05));
  assert.ok(!isPullCheaper([10, 9, 8], 0.2));
});

test("§8: a deficit that chance does not make is a device that came late", () => {
  const assumption = { dataCount: 2000, loss: 0.05 };
  assert.ok(!isLate(60, assumption));
  assert.ok(isLate(500, assumption));
  assert.ok(isLate(65_535, { dataCount: 40, loss: 0.05 }));
});

test("a device that needs more than was planned for has lost more, and the next parity is sized for that", () => {
  assert.equal(lossAfter({ dataCount: 1000, loss: 0.05 }, { sentCount: 1100, deficit: 2 }), 102 / 1100);
  assert.equal(lossAfter({ dataCount: 1000, loss: 0.2 }, { sentCount: 1100, deficit: 2 }), 0.2);
});
