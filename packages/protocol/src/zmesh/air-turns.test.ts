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

test("§7: a turn in a cycle is found at once while it lasts, else with its next beginning", () => {
  const cycles = fc
    .record({ lengthMs: fc.integer({ min: 1, max: 50 }), fromMs: fc.nat(50), restMs: fc.nat(50) })
    .map(({ lengthMs, fromMs, restMs }) => ({ periodMs: fromMs + lengthMs + restMs, fromMs, lengthMs }));
  fc.assert(
    fc.property(cycles, fc.nat(10_000), (cycle, atMs) => {
      const { periodMs, fromMs, lengthMs } = cycle;
      const isTurn = (ms: number) => ms % periodMs >= fromMs && ms % periodMs < fromMs + lengthMs;
      let expected = atMs;
      while (!isTurn(expected)) expected += 1;
      assert.equal(cycleAtMs(cycle, atMs), expected);
    }),
  );
  assert.equal(cycleAtMs(undefined, 7), 7);
});
