import assert from "node:assert/strict";
import { test } from "node:test";
import { turnAtMs } from "./air-turns.ts";

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
