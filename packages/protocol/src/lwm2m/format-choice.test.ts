import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CONTENT_FORMATS as F, hasFormat } from "./content-formats.ts";
import { chooseFormats, type FormatQuestion } from "./format-choice.ts";

const first = (question: Partial<FormatQuestion>) =>
  chooseFormats({ use: "several", lwm2mVersion: "1.1", registered: [], ...question })[0];

test("§7.4: without a word of the device its version decides", () => {
  assert.equal(first({ lwm2mVersion: "1.0" }), F.tlv);
  assert.equal(first({ lwm2mVersion: "1.1" }), F.senmlCbor);
  assert.equal(first({ lwm2mVersion: "1.2" }), F.senmlCbor);
  assert.equal(first({ use: "single", type: "string" }), F.text);
  assert.equal(first({ use: "single", type: "opaque" }), F.opaque);
});

test("§6.2.1: what the device registered as ct goes before", () => {
  assert.equal(first({ registered: [F.cbor, F.senmlJson] }), F.senmlJson);
  assert.equal(first({ registered: [F.lwm2mCbor], lwm2mVersion: "1.1", use: "several" }), F.senmlCbor);
  assert.ok(chooseFormats({ use: "several", lwm2mVersion: "1.1", registered: [F.lwm2mCbor] }).includes(F.lwm2mCbor));
  assert.equal(first({ registered: [F.tlv], lwm2mVersion: "1.2" }), F.tlv);
});

test("a format that was refused comes last", () => {
  const formats = chooseFormats({
    use: "several",
    lwm2mVersion: "1.1",
    registered: [],
    refused: new Set([F.senmlCbor]),
  });
  assert.deepEqual([formats[0], formats.at(-1)], [F.tlv, F.senmlCbor]);
});

test("there is always a format, none twice, and none that a version without a word about it lacks", () => {
  const question = fc.record({
    use: fc.constantFrom("single", "several", "composite") as fc.Arbitrary<FormatQuestion["use"]>,
    lwm2mVersion: fc.constantFrom("1.1", "1.2"),
    registered: fc.array(fc.constantFrom(...Object.values(F), 50, 65_000)),
    refused: fc.array(fc.constantFrom(...Object.values(F))).map((list) => new Set<number>(list)),
  });
  fc.assert(
    fc.property(question, (asked) => {
      const formats = chooseFormats(asked);
      assert.ok(formats.length > 0);
      assert.equal(new Set(formats).size, formats.length);
      const strange = formats.filter((format) => !hasFormat(asked.lwm2mVersion, format));
      assert.ok(strange.every((format) => (asked.registered as readonly number[]).includes(format)));
    }),
  );
});
