import assert from "node:assert/strict";
import { test } from "node:test";
import { isFresher } from "./observe.ts";

const HALF = 2 ** 23;

test("RFC 7641 §3.4: newer is what is ahead by less than half the number space, or came 128 s later", () => {
  const isNewer = (v1: number, v2: number, afterMs = 0): boolean =>
    isFresher({ sequence: v1, atMs: 0 }, { sequence: v2, atMs: afterMs });
  assert.ok(isNewer(1, 2));
  assert.ok(isNewer(1, HALF));
  assert.ok(!isNewer(0, HALF));
  assert.ok(!isNewer(2, 1));
  assert.ok(!isNewer(2, 2));
  assert.ok(isNewer(2 ** 24 - 1, 0));
  assert.ok(!isNewer(0, 2 ** 24 - 1));
  assert.ok(!isNewer(2, 1, 128_000));
  assert.ok(isNewer(2, 1, 128_001));
});
