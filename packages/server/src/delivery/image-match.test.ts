import assert from "node:assert/strict";
import { test } from "node:test";
import { findMismatch, imageWarnings } from "./image-match.ts";

const IMAGE = { manufacturer: "Example", model: "Pump", hardware: ["A", "B"] };
const SILENT = { manufacturer: null, model: null, hardware: null };

test("an image is for every device that does not say otherwise", () => {
  assert.equal(findMismatch(IMAGE, SILENT, "firmware"), undefined);
  assert.equal(findMismatch(IMAGE, { manufacturer: "Example", model: "Pump", hardware: "B" }, "firmware"), undefined);
  assert.equal(findMismatch({ ...IMAGE, hardware: [] }, { ...SILENT, hardware: "C" }, "firmware"), undefined);
  assert.equal(findMismatch(IMAGE, { ...SILENT, hardware: "C" }, "component:1"), undefined);
});

for (const [told, why] of [
  [{ manufacturer: "Other" }, "its manufacturer is Other, the image's is Example"],
  [{ model: "Valve" }, "its model is Valve, the image's is Pump"],
  [{ hardware: "C" }, "its hardware is C, the image runs on A, B"],
] as const)
  test(`an image is not for a device whose ${Object.keys(told)} is another`, () => {
    assert.equal(findMismatch(IMAGE, { ...SILENT, ...told }, "firmware"), why);
  });

test("a version that the image's header does not say is warned of; how it is written does not matter", () => {
  assert.deepEqual(imageWarnings({ version: "v1.2" }, "1.2.0"), []);
  assert.deepEqual(imageWarnings({ version: "1.2" }, null), []);
  assert.match(imageWarnings({ version: "1.3.0" }, "1.2.0")[0] ?? "", /header says version 1\.2\.0, not 1\.3\.0/);
});
