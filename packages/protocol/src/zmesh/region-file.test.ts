import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UsageError } from "../lib/errors.ts";
import { decodeRegion } from "./region-file.ts";
import { SUB_BANDS } from "./regions.ts";

const band = {
  name: "866.0-867.0",
  fromKhz: 866_000,
  toKhz: 867_000,
  powerMw: 25,
  windowMs: 3_600_000,
  budgetMs: 36_000,
};

test("§7: the default table, written as a region file, reads as itself", () => {
  for (const { limit, source, ...rest } of SUB_BANDS) {
    assert.deepEqual(decodeRegion(JSON.stringify({ source, subBands: [{ ...rest, ...limit }] })), [
      { ...rest, limit, source },
    ]);
  }
});

test("§7: what is not said is the stricter thing: one budget for the whole transmitter, no silence asked for", () => {
  const [read] = decodeRegion(JSON.stringify({ source: "the operator", subBands: [band] }));
  assert.deepEqual([read?.scope, read?.limit.offMs], ["transmitter", 0]);
});

test("every mistake is named at once", () => {
  const wrong = {
    source: "",
    subBands: [
      { ...band, budgetMs: 4e6, scope: "hop" },
      { ...band, name: "866.0-867.0/b", toKhz: 1, powerMw: "x" },
      { ...band, name: "north" },
      { ...band, name: "866.0-867.5" },
      { ...band, name: "866.0-867.0/week", windowMs: 7 * 86_400_000 },
    ],
  };
  assert.throws(
    () => decodeRegion(JSON.stringify(wrong)),
    (error) => error instanceof UsageError && (error.facts["problems"] as string[]).length === 9,
  );
});

test("no text does anything but give sub-bands or a UsageError", () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ subBands: fc.array(fc.object()) }).map((it) => JSON.stringify(it)),
  );
  fc.assert(
    fc.property(anything, (text) => {
      try {
        decodeRegion(text);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
      }
    }),
  );
});
