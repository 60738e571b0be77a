import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareMcubootVersions, compareVersions, formatMcubootVersion, parseMcubootVersion } from "./version.ts";

const mcuboot = fc.record(
  { major: fc.nat(0xff), minor: fc.nat(0xff), revision: fc.nat(0xffff), build: fc.nat(0xffff_ffff) },
  { noNullPrototype: true },
);
const text = fc.oneof(
  fc.stringMatching(/^v?\d{1,3}(\.\d{1,4}){0,3}(-[a-z0-9.]{1,8})?(\+[a-z0-9.]{1,5})?$/),
  fc.string({ maxLength: 12 }),
);

test("an MCUboot version survives being written and read", () => {
  fc.assert(
    fc.property(mcuboot, (version) => assert.deepEqual(parseMcubootVersion(formatMcubootVersion(version)), version)),
  );
});

test("numbers that MCUboot's fields cannot hold, and other texts, are refused", () => {
  for (const version of ["", "1.2.3.4", "256", "1.256", "1.2.65536", "1+4294967296", "v1", "1.2.x", "-1", "1.2.3 "]) {
    assert.throws(() => parseMcubootVersion(version), { name: "UsageError", code: "VERSION_FORMAT" }, version);
  }
});

test("MCUboot versions and their texts are in the same order", () => {
  fc.assert(
    fc.property(mcuboot, mcuboot, (a, b) =>
      assert.equal(
        Math.sign(compareMcubootVersions(a, b)),
        compareVersions(formatMcubootVersion(a), formatMcubootVersion(b)),
      ),
    ),
  );
});

test("lesson 12: versions are compared as versions, never as text", () => {
  const rising = [
    ["", "0", "0.0.0"],
    ["0.9"],
    ["1.0.0-alpha"],
    ["1.0.0-alpha.1"],
    ["1.0.0-alpha.beta"],
    ["1.0.0-beta.2"],
    ["1.0.0-beta.11"],
    ["1.0.0-rc.1"],
    ["1", "1.0", "v1.0.0", "V1", "1.0.0+0"],
    ["1.0.0+4"],
    ["1.0.0+10"],
    ["1.0.2"],
    ["1.0.2a"],
    ["1.0.2b"],
    ["1.1.1", "1.01.1"],
    ["1.1.10"],
    ["1.10.0"],
    ["2024.11.3"],
    ["123456789012345678901234567890"],
  ];
  rising.forEach((same, place) => {
    for (const a of same) {
      rising.forEach((others, otherPlace) => {
        for (const b of others) assert.equal(compareVersions(a, b), Math.sign(place - otherPlace), `${a} and ${b}`);
      });
    }
  });
});

test("comparing is an order: antisymmetric, transitive, never failing", () => {
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      assert.ok(compareVersions(a, b) + compareVersions(b, a) === 0);
      const [x = "", y = "", z = ""] = [a, b, c].sort(compareVersions);
      assert.ok(compareVersions(x, y) <= 0 && compareVersions(y, z) <= 0 && compareVersions(x, z) <= 0);
    }),
    { numRuns: 500 },
  );
});
