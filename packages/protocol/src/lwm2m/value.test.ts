import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { formatValue, parseValue } from "./text.ts";
import { decodeTlvValue, encodeTlvValue } from "./tlv-value.ts";
import { INT64_MAX, INT64_MIN, isValueOf, narrowInteger, UINT64_MAX } from "./value.ts";

test("appendix C: integers take 1, 2, 4 or 8 octets, as few as hold them", () => {
  const sizes = (values: (number | bigint)[], type: "integer" | "unsigned") =>
    values.map((value) => encodeTlvValue(type, value).length);
  assert.deepEqual(
    sizes([0, 127, -128, 128, -129, 32_767, 32_768, 2 ** 31 - 1, 2 ** 31], "integer"),
    [1, 1, 1, 2, 2, 2, 4, 4, 8],
  );
  assert.deepEqual(
    sizes([255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, UINT64_MAX], "unsigned"),
    [1, 2, 2, 4, 4, 8, 8],
  );
});
test("appendix C: the ends of each width read back, signed and unsigned", () => {
  const bits = [7n, 8n, 15n, 16n, 31n, 32n, 63n];
  const magnitudes = bits.flatMap((width) => [2n ** width - 1n, 2n ** width]);
  for (const value of [...magnitudes, UINT64_MAX].map(narrowInteger))
    assert.equal(decodeTlvValue("unsigned", encodeTlvValue("unsigned", value)), value);
  for (const value of [...magnitudes.filter((of) => of <= INT64_MAX), ...magnitudes.map((of) => -of)].map(
    narrowInteger,
  ))
    assert.equal(decodeTlvValue("integer", encodeTlvValue("integer", value)), value);
});
test("appendix C: floats take 4 octets where those are exact", () => {
  assert.equal(encodeTlvValue("float", 0.5).length, 4);
  assert.equal(encodeTlvValue("float", 0.1).length, 8);
  assert.ok(Number.isNaN(decodeTlvValue("float", encodeTlvValue("float", Number.NaN))));
});
test("integers are numbers while those are exact, bigint beyond", () => {
  assert.equal(narrowInteger(2n ** 53n - 1n), 2 ** 53 - 1);
  assert.equal(narrowInteger(2n ** 53n), 2n ** 53n);
});
test("what fits a type and what does not", () => {
  assert.ok(isValueOf("integer", INT64_MIN) && isValueOf("integer", INT64_MAX));
  assert.ok(!isValueOf("integer", INT64_MAX + 1n) && !isValueOf("unsigned", -1) && !isValueOf("integer", 1.5));
  assert.ok(!isValueOf("integer", 2 ** 53), "an integer that a number cannot hold exactly");
  assert.ok(!isValueOf("none", 1) && !isValueOf("string", 1) && !isValueOf("objlnk", new Uint8Array(4)));
  assert.ok(isValueOf("objlnk", { objectId: 65_535, instanceId: 65_535 }));
  assert.ok(!isValueOf("objlnk", { objectId: 65_536, instanceId: 0 }));
});
test("§7.4.1: a text is what the table of data types says", () => {
  assert.equal(formatValue("boolean", true), "1");
  assert.equal(formatValue("objlnk", { objectId: 3, instanceId: 0 }), "3:0");
  assert.equal(formatValue("float", -6.667e-11), "-6.667e-11");
  assert.equal(parseValue("float", "+.5"), 0.5);
  assert.equal(parseValue("integer", "-9223372036854775808"), INT64_MIN);
  for (const text of ["", " 1", "1 ", "0x1", "1.0", "NaN", "١"]) assert.throws(() => parseValue("integer", text), text);
  for (const text of ["true", "2", ""]) assert.throws(() => parseValue("boolean", text), text);
  for (const text of ["3", "3:", "3:0:0", "65536:0", "03:0"]) assert.throws(() => parseValue("objlnk", text), text);
  for (const text of ["1e999", "Infinity", ".", "1,5"]) assert.throws(() => parseValue("float", text), text);
});
test("RFC 4648 §10: base64 of the published examples, both alphabets, padded or not", () => {
  const text = (letters: string) => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  for (const [plain, encoded] of [
    ["", ""],
    ["f", "Zg=="],
    ["fo", "Zm8="],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg=="],
    ["fooba", "Zm9vYmE="],
    ["foobar", "Zm9vYmFy"],
  ] as const) {
    assert.equal(encodeBase64(text(plain), "standard"), encoded);
    assert.deepEqual(decodeBase64(encoded, "standard"), text(plain));
    assert.deepEqual(decodeBase64(encoded.replace(/=+$/, ""), "url"), text(plain));
  }
  for (const broken of ["Z", "Zg=", "Zg===", "Zh==", "Zm9v====", "Zm 9", "+-", "Zg==Zg=="])
    assert.equal(decodeBase64(broken, "standard"), undefined, broken);
});
test("base64 round trips and agrees with the runtime's own", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      assert.equal(encodeBase64(bytes, "standard"), buffer.toString("base64"));
      assert.equal(encodeBase64(bytes, "url"), buffer.toString("base64url"));
      assert.deepEqual(Buffer.from(decodeBase64(encodeBase64(bytes, "url"), "url") ?? []), buffer);
    }),
  );
});
