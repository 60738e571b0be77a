import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UsageError } from "../lib/errors.ts";
import { STANDARD_MODELS } from "./objects/standard.ts";
import { RESOURCE_TYPES, type ResourceType, type ResourceValue } from "./value.ts";
import { entriesOfJson, fromJsonScalar, fromTypedText, toJsonScalar } from "./value-json.ts";

const VALUES: { readonly [Type in ResourceType]?: fc.Arbitrary<ResourceValue> } = {
  string: fc.string(),
  integer: fc.oneof(fc.maxSafeInteger(), fc.constantFrom(2n ** 60n, -(2n ** 63n))),
  unsigned: fc.oneof(fc.maxSafeNat(), fc.constant(2n ** 64n - 1n)),
  float: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
  boolean: fc.boolean(),
  opaque: fc.uint8Array({ maxLength: 20 }),
  time: fc.integer({ min: -1_000_000, max: 253_402_300_799 }),
  objlnk: fc.record({ objectId: fc.nat(65_535), instanceId: fc.nat(65_535) }, { noNullPrototype: true }),
};

test("a value of every type comes back from JSON as it went", () => {
  for (const [type, values] of Object.entries(VALUES) as [ResourceType, fc.Arbitrary<ResourceValue>][]) {
    fc.assert(
      fc.property(values, (value) => {
        const json = JSON.parse(JSON.stringify(toJsonScalar(type, value)));
        assert.deepEqual(fromJsonScalar(type, json), value);
      }),
    );
  }
});

test("int64, octets, times and links as people can read them", () => {
  assert.equal(toJsonScalar("integer", 2n ** 60n), "1152921504606846976");
  assert.equal(toJsonScalar("opaque", Uint8Array.of(1, 2, 3)), "AQID");
  assert.equal(toJsonScalar("time", 1_772_366_400), "2026-03-01T12:00:00.000Z");
  assert.equal(toJsonScalar("objlnk", { objectId: 5, instanceId: 0 }), "5:0");
  assert.equal(fromJsonScalar("time", "2026-03-01T13:00:00+01:00"), 1_772_366_400);
  assert.equal(fromTypedText("boolean", "true"), true);
  assert.equal(fromTypedText("float", "2.5"), 2.5);
});

test("a value of another type, or out of range, is refused before it is sent", () => {
  const wrong: [ResourceType, unknown][] = [
    ["integer", 1.5],
    ["integer", "soon"],
    ["integer", 2 ** 63],
    ["unsigned", -1],
    ["boolean", "yes"],
    ["opaque", "!"],
    ["time", "noon"],
    ["objlnk", "5"],
    ["string", 5],
    ["float", "x"],
    ["none", "x"],
  ];
  for (const [type, json] of wrong)
    assert.throws(
      () => fromJsonScalar(type, json),
      (error) => error instanceof UsageError && error.code === "VALUE_TYPE",
      `${type} ${json}`,
    );
  const write = (path: number[], json: unknown) => () => entriesOfJson(path, json, { models: STANDARD_MODELS });
  const mistake = (expected: string) => (error: unknown) => error instanceof UsageError && error.code === expected;
  assert.throws(write([3, 0, 9], 101), mistake("VALUE_RANGE"));
  assert.throws(write([3, 0, 4], "x"), mistake("NOT_WRITABLE"));
  assert.throws(write([3, 0, 6], 1), mistake("VALUES"));
  assert.throws(write([3, 0], {}), mistake("VALUES"));
  assert.throws(write([3], { 0: {} }), mistake("PATH"));
});

test("an instance by names and numbers, a multiple resource by numbers", () => {
  assert.deepEqual(
    entriesOfJson([3, 0], { "UTC Offset": "+01:00", "6": { "0": 1, "2": 5 } }, { models: STANDARD_MODELS }),
    [
      { path: [3, 0, 6, 0], value: 1 },
      { path: [3, 0, 6, 2], value: 5 },
      { path: [3, 0, 14], value: "+01:00" },
    ],
  );
});

test("whatever JSON says, it is a value or the asker's mistake", () => {
  fc.assert(
    fc.property(fc.constantFrom(...RESOURCE_TYPES, undefined), fc.jsonValue(), (type, json) => {
      try {
        fromJsonScalar(type, json);
      } catch (error) {
        assert.ok(error instanceof UsageError);
      }
    }),
  );
});
