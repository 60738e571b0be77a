import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { largestOf, leastOf } from "./extremes.ts";

test("the same as of Math, also of none", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true })), (numbers) => {
      assert.equal(leastOf(numbers) + 0, Math.min(...numbers) + 0);
      assert.equal(largestOf(numbers) + 0, Math.max(...numbers) + 0);
    }),
  );
});

test("of a list as long as a large fleet", () => {
  const numbers = Array.from({ length: 1_000_000 }, (_, i) => i);
  assert.deepEqual([leastOf(numbers), largestOf(numbers)], [0, 999_999]);
});
