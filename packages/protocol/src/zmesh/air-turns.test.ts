import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cycleAtMs, turnAtMs } from "./air-turns.ts";

test("a packet may begin in a window, which its end is no part of; after the last one never", () => {
  const windows = [
    { fromMs: 100, untilMs: 200 },
    { fromMs: 300, untilMs: 400 },
  ];
  for (const [atMs, turnMs] of [
    [0, 100],
    [100, 100],
    [199.5, 199.5],
    [200, 300],
    [399, 399],
    [400, Number.POSITIVE_INFINITY],
  ] as const)
    assert.equal(turnAtMs(windows, atMs), turnMs, `at ${atMs}`);
  assert.equal(turnAtMs([], 0), Number.POSITIVE_INFINITY);
});

test("§7: a turn in a cycle is found at once while a frame ends in it, else with its next beginning", () => {
  const cycles = fc
    .record({ lengthMs: fc.integer({ min: 1, max: 50 }), fromMs: fc.nat(50), restMs: fc.nat(50) })
    .map(({ lengthMs, fromMs, restMs }) => ({ periodMs: fromMs + lengthMs + restMs, fromMs, lengthMs }));
  fc.assert(
    fc.property(cycles, fc.nat(10_000), fc.nat(25), (cycle, atMs, airtimeMs) => {
      const { periodMs, fromMs, lengthMs } = cycle;
      fc.pre(2 * airtimeMs <= lengthMs);
      const isTurn = (ms: number) => ms % periodMs >= fromMs && ms % periodMs < fromMs + lengthMs - airtimeMs;
      let expected = atMs;
      while (!isTurn(expected)) expected += 1;
      assert.equal(cycleAtMs(cycle, atMs, airtimeMs), expected);
    }),
  );
  assert.equal(cycleAtMs(undefined, 7, 1), 7);
});

test("§7: a frame that no turn is long enough for begins in the first half of one", () => {
  const cycle = { periodMs: 100, fromMs: 10, lengthMs: 20 };
  for (const [atMs, turnMs] of [
    [0, 10],
    [19, 19],
    [20, 110],
  ] as const)
    assert.equal(cycleAtMs(cycle, atMs, 1_000), turnMs, `at ${atMs}`);
});
