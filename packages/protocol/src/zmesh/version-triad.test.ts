import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { triadOf } from "./version-triad.ts";

test("§9: a version is three octets, whatever stands around it", () => {
  assert.deepEqual(triadOf("1.2.3"), [1, 2, 3]);
  assert.deepEqual(triadOf("v1.2.3+7"), [1, 2, 3]);
  assert.deepEqual(triadOf("255.0.255-rc.1"), [255, 0, 255]);
  const octet = fc.nat(255);
  fc.assert(fc.property(octet, octet, octet, (...triad) => assert.deepEqual(triadOf(triad.join(".")), triad)));
});

test("§9: what does not fit is not cut: such a version has no triad", () => {
  for (const text of ["", "1", "1.0", "1.0.300", "256.0.0", "1.2.3.4", "1.2.3000", "-1.0.0", "1.0.-1", "one", "1.2.x"])
    assert.equal(triadOf(text), undefined, text);
});
