import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { decodeArguments, encodeArguments } from "./execute-arguments.ts";

test("§6.3.5: the published examples", () => {
  const decode = (text: string) => [...decodeArguments(encodeUtf8(text))];
  assert.deepEqual(decode("5"), [[5, undefined]]);
  assert.deepEqual(decode("2='10.3'"), [[2, "10.3"]]);
  assert.deepEqual(decode("7,0='https://www.oma.org'"), [
    [7, undefined],
    [0, "https://www.oma.org"],
  ]);
  assert.deepEqual(decode("0,1,2,3,4").length, 5);
  assert.deepEqual(decode(""), []);
});
test("object 33629: a list of links is one value", () => {
  const text = "0='</33629/1>,</33629/2>'";
  const given = decodeArguments(encodeUtf8(text));
  assert.equal(given.get(0), "</33629/1>,</33629/2>");
  assert.equal(decodeUtf8(encodeArguments(given)), text);
});
for (const text of [",", "0,", ",0", "10", "a", "0=", "0=x", "0='x", "0='a'b'", "0 ,1", "0,0", "0='x'1"]) {
  test(`not arguments: ${text}`, () => {
    assert.throws(() => decodeArguments(encodeUtf8(text)), PeerError);
  });
}
test("what cannot be written is refused", () => {
  assert.throws(() => encodeArguments(new Map([[10, undefined]])), UsageError);
  assert.throws(() => encodeArguments(new Map([[0, "it's"]])), UsageError);
});
test("what was encoded is decoded", () => {
  const value = fc.string({ unit: "grapheme", maxLength: 12 }).filter((text) => !text.includes("'"));
  const given = fc
    .uniqueArray(fc.tuple(fc.nat(9), fc.option(value, { nil: undefined })), { selector: ([digit]) => digit })
    .map((list) => new Map(list));
  fc.assert(
    fc.property(given, (value) => {
      assert.deepEqual(decodeArguments(encodeArguments(value)), value);
    }),
  );
});
