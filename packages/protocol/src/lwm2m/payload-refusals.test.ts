import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8, fromHex, toHex } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";
import type { Entry } from "./entry.ts";
import { STANDARD_MODELS } from "./objects/standard.ts";
import { formatPath, parsePath } from "./path.ts";
import { decodePayload, encodePayload } from "./payload.ts";

const REFUSED: [title: string, format: keyof typeof CONTENT_FORMATS, base: string, payload: string, code: string][] = [
  ["TLV: an item longer than the payload", "tlv", "/3/0", "c309", "TLV"],
  ["TLV: the payload ends inside the id", "tlv", "/3/0", "e101", "TLV"],
  ["TLV: id 65535", "tlv", "/3/0", "e1ffff00", "TLV"],
  ["TLV: an instance inside an instance", "tlv", "/3", "0200020000", "TLV"],
  ["TLV: a resource instance straight below an instance", "tlv", "/3/0", "410001", "TLV"],
  ["TLV: resources of a multiple-instance object without an instance", "tlv", "/1", "c10001", "TLV"],
  ["TLV: several objects", "tlv", "/", "c10001", "TLV"],
  ["TLV: an integer of three octets", "tlv", "/3/0", "c309000000", "VALUE"],
  ["TLV: a boolean of 2", "tlv", "/1/0", "c10602", "VALUE"],
  ["TLV: text that is no UTF-8", "tlv", "/3/0", "c100ff", "VALUE"],
  ["TLV: a value for an executable resource", "tlv", "/5/0", "c10200", "VALUE"],
  ["TLV: another instance than asked for", "tlv", "/3/0", "0301c10964", "PATH"],
  ["TLV: one resource twice", "tlv", "/3/0", "c10964c10964", "DUPLICATE"],
  ["text: not a number", "text", "/3/0/9", "3078", "VALUE"],
  ["text: a number beyond 64 bits", "text", "/3/0/9", toHex(encodeUtf8("9223372036854775808")), "VALUE"],
  ["text: broken base64", "text", "/5/0/0", toHex(encodeUtf8("A")), "VALUE"],
  ["text: not UTF-8", "text", "/3/0/0", "ff", "TEXT"],
  ["text: for an instance", "text", "/3/0", "41", "PATH"],
  ["opaque: for a text", "opaque", "/3/0/0", "41", "VALUE"],
  ["CBOR: two items", "cbor", "/3/0/9", "0102", "CBOR"],
  ["CBOR: a map", "cbor", "/3/0/9", "a10102", "VALUE"],
  ["CBOR: an unknown tag", "cbor", "/3/0/9", "c201", "CBOR"],
  ["CBOR: nested too deep", "cbor", "/3/0/9", "8181818101", "CBOR"],
  ["CBOR: text that is no UTF-8", "cbor", "/3/0/0", "61ff", "CBOR"],
  ["CBOR: a number among the chunks of a text", "cbor", "/3/0/0", "7f01ff", "CBOR"],
  ["CBOR: chunks without an end", "cbor", "/3/0/0", "7f6161", "CBOR"],
  ["CBOR: empty", "cbor", "/3/0/9", "", "CBOR"],
  ["SenML CBOR: not a list", "senmlCbor", "/3/0", "a0", "SENML"],
  ["SenML CBOR: a record without a value", "senmlCbor", "/3/0", "81a121662f332f302f39", "SENML"],
  ["SenML CBOR: a base value", "senmlCbor", "/3/0", "81a321662f332f302f3902012401", "SENML"],
  ["SenML CBOR: a label that must be understood", "senmlCbor", "/3/0", "81a321662f332f302f39020162785f01", "SENML"],
  ["SenML CBOR: a key twice", "senmlCbor", "/3/0", "81a321662f332f302f3902010202", "CBOR"],
  ["SenML CBOR: nested too deep", "senmlCbor", "/3/0", "81818181818101", "CBOR"],
  ["LwM2M CBOR: nested too deep", "lwm2mCbor", "/3/0", "a103a100a106a100a100a100a10001", "CBOR"],
  ["SenML CBOR: a time without end", "senmlCbor", "/3/0", "81a321662f332f302f39020106f97c00", "SENML"],
  ["CBOR: a decimal fraction out of range", "cbor", "/6/0/0", "c4821a3b9aca0001", "CBOR"],
  ["CBOR: a decimal fraction of text", "cbor", "/6/0/0", "c482206131", "CBOR"],
  ["LwM2M CBOR: a text key", "lwm2mCbor", "/3/0", "a16133a0", "PATH"],
  ["LwM2M CBOR: an empty key", "lwm2mCbor", "/3/0", "a18001", "PATH"],
  ["LwM2M CBOR: five levels", "lwm2mCbor", "/3/0", "a103a100a106a100a10001", "PATH"],
  ["LwM2M CBOR: null", "lwm2mCbor", "/3/0", "a103a100a109f6", "VALUE"],
  ["LwM2M CBOR: one path by two keys", "lwm2mCbor", "/3/0", "a203a100a109018303000902", "DUPLICATE"],
];
for (const [title, format, base, hex, code] of REFUSED) {
  test(`refused with ${code}: ${title}`, () => {
    const payload = fromHex(hex);
    assert.ok(payload, hex);
    const context = { base: parsePath(base), models: STANDARD_MODELS };
    assert.throws(() => decodePayload(CONTENT_FORMATS[format], payload, context), withCode(code));
  });
}

const REFUSED_JSON: [title: string, text: string, code: string][] = [
  ["not JSON", "[{]", "JSON"],
  ["too deep", "[[[[1]]]]", "JSON"],
  ["a number out of range", '[{"bn":"/3/0/9","v":1e999}]', "JSON"],
  ["not a list", '{"bn":"/3/0/9","v":1}', "SENML"],
  ["two values", '[{"bn":"/3/0/9","v":1,"vs":"1"}]', "SENML"],
  ["a fraction for an integer", '[{"bn":"/3/0/9","v":1.5}]', "VALUE"],
  ["a text for an integer", '[{"bn":"/3/0/9","vs":"1"}]', "VALUE"],
  ["a name that is no path", '[{"bn":"3/0/9","v":1}]', "PATH"],
  ["standard base64 where base64url belongs", '[{"bn":"/5/0/0","vd":"+/+/"}]', "SENML"],
  ["a field that must be understood", '[{"bn":"/3/0/9","v":1,"x_":1}]', "SENML"],
  ["a field named like a part of every object", '[{"bn":"/3/0/9","toString":1}]', "SENML"],
];
for (const [title, text, code] of REFUSED_JSON) {
  test(`SenML JSON refused with ${code}: ${title}`, () => {
    const context = { base: [3, 0], models: STANDARD_MODELS };
    assert.throws(() => decodePayload(CONTENT_FORMATS.senmlJson, encodeUtf8(text), context), withCode(code));
  });
}

test("a peer's entries are bounded", () => {
  const entries = Array.from({ length: 20 }, (_, at): Entry => ({ path: [3, 0, 6, at], value: 1 }));
  for (const format of ["tlv", "senmlJson", "senmlCbor", "lwm2mJson", "lwm2mCbor"] as const) {
    const context = { base: [3, 0], models: STANDARD_MODELS };
    const payload = encodePayload(CONTENT_FORMATS[format], entries, context);
    const bounded = { ...context, maxEntries: 19 };
    assert.throws(() => decodePayload(CONTENT_FORMATS[format], payload, bounded), withCode("TOO_MANY"), format);
  }
});

test("an unknown content format is the peer's fault when read and the caller's when written", () => {
  const context = { base: [3, 0], models: STANDARD_MODELS };
  assert.throws(() => decodePayload(40, new Uint8Array(), context), withCode("CONTENT_FORMAT"));
  assert.throws(() => encodePayload(40, [], context), UsageError);
});

test("what cannot be written is refused: outside the base, of the wrong type, more than one value", () => {
  const context = { base: [3, 0], models: STANDARD_MODELS };
  const value = { path: [3, 0, 9], value: 100 };
  for (const format of ["tlv", "senmlJson", "senmlCbor", "lwm2mJson", "lwm2mCbor"] as const) {
    const number = CONTENT_FORMATS[format];
    assert.throws(() => encodePayload(number, [{ path: [4, 0, 9], value: 1 }], context), UsageError, format);
    assert.throws(() => encodePayload(number, [{ path: [3, 0, 9], value: "1" }], context), UsageError, format);
  }
  for (const format of ["text", "cbor", "opaque"] as const)
    assert.throws(() => encodePayload(CONTENT_FORMATS[format], [value], context), UsageError, formatPath(context.base));
});

function withCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof PeerError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}
