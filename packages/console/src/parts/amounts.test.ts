import assert from "node:assert/strict";
import { test } from "node:test";
import { bandText, sizeText, spanText } from "./amounts.ts";

test("sizes are written in the largest unit of which there is one", () => {
  assert.deepEqual([0, 1023, 1024, 3_355_443, 2 ** 20 - 1, 2 ** 50].map(sizeText), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "3.2 MiB",
    "1.0 MiB",
    "1024.0 TiB",
  ]);
});

test("spans are rounded to what anybody plans by", () => {
  assert.deepEqual([0, 89, 90, 5399, 5400, 200_000].map(spanText), ["0 s", "89 s", "2 min", "90 min", "2 h", "2 days"]);
});

test("a sub-band is in megahertz, and a wire has none", () => {
  assert.deepEqual(["868.0-868.6", "wired"].map(bandText), ["868.0-868.6 MHz", "wired"]);
});
