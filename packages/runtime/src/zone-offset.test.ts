import assert from "node:assert/strict";
import { test } from "node:test";
import { offsetAt } from "./zone-offset.ts";

test("offsets follow daylight saving to the second, halves of an hour included", () => {
  const change = Date.UTC(2026, 2, 29, 1);
  assert.equal(offsetAt("Europe/Oslo", change - 1), 60);
  assert.equal(offsetAt("Europe/Oslo", change), 120);
  assert.equal(offsetAt("America/St_Johns", Date.UTC(2026, 0, 1)), -210);
  assert.equal(offsetAt("Asia/Kolkata", 0), 330);
  assert.equal(offsetAt("UTC", 0), 0);
});

test("a zone that is not known has no offset", () => {
  assert.equal(offsetAt("Nowhere/At-all", 0), undefined);
  assert.equal(offsetAt("", 0), undefined);
});
