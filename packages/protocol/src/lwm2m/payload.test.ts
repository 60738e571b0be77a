import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8, fromHex, toHex } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";
import type { Entry } from "./entry.ts";
import { createModels, type Models, type ObjectModel } from "./model.ts";
import { STANDARD_MODELS, STANDARD_OBJECTS } from "./objects/standard.ts";
import { formatPath, type Path, parsePath } from "./path.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import {
  INT64_MAX,
  INT64_MIN,
  narrowInteger,
  parseObjectLink,
  type ResourceType,
  type ResourceValue,
} from "./value.ts";

interface Vector {
  name: string;
  source: string;
  format: number;
  base: string;
  payloadHex?: string;
  payloadText?: string;
  decodeOnly?: boolean;
  entries: [path: string, value: string | number | boolean | { hex?: string; link?: string }][];
}

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL("../../../../tests/vectors/lwm2m-payloads.json", import.meta.url), "utf8"),
);

/** The objects 65 and 66 of the specification's examples. */
const EXAMPLES: ObjectModel[] = (
  [
    [65, ["objlnk*", "string", "integer"]],
    [66, ["string", "string", "objlnk"]],
  ] as const
).map(([id, types]) => exampleObject(id, types));

function exampleObject(id: number, types: readonly string[]): ObjectModel {
  const resources = types.map((type, resourceId) => ({
    id: resourceId,
    name: type,
    operations: "RW" as const,
    multiple: type.endsWith("*"),
    mandatory: false,
    type: type.replace("*", "") as ResourceType,
    range: "",
    units: "",
    since: "1.0",
  }));
  const byId = new Map(resources.map((resource) => [resource.id, resource]));
  return { id, name: `Example ${id}`, version: "1.0", multiple: true, mandatory: false, resources: byId };
}

const models = createModels([...STANDARD_OBJECTS, ...EXAMPLES]);

for (const { name, source, format, base, payloadHex, payloadText, decodeOnly, entries } of vectors) {
  test(`${format} ${name} (${source})`, () => {
    const payload = payloadText === undefined ? fromHex(payloadHex ?? "?") : encodeUtf8(payloadText);
    assert.ok(payload);
    const expected = entries.map(([path, value]): Entry => ({ path: parsePath(path), value: fromVector(value) }));
    const context = { base: parsePath(base), models };
    assert.deepEqual(decodePayload(format, payload, context), expected);
    if (decodeOnly) return;
    const encoded = encodePayload(format, expected, context);
    if (payloadText === undefined) assert.equal(toHex(encoded), payloadHex);
    else assert.equal(decodeUtf8(encoded), payloadText);
  });
}

function fromVector(value: Vector["entries"][number][1]): ResourceValue {
  if (typeof value !== "object") return value;
  return value.link === undefined ? (fromHex(value.hex ?? "?") ?? new Uint8Array()) : parseObjectLink(value.link);
}

const TYPES = ["string", "integer", "unsigned", "float", "boolean", "opaque", "time", "objlnk", "corelnk"] as const;
const id16 = fc.integer({ min: 0, max: 65_535 });
const integer = fc.bigInt(INT64_MIN, INT64_MAX).map(narrowInteger);
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Uint8Array.from(array));
/** Minus zero is not kept apart from zero by every format. */
const float = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value));
const VALUES: Record<(typeof TYPES)[number], fc.Arbitrary<ResourceValue>> = {
  string: fc.string({ unit: "grapheme", maxLength: 60 }),
  corelnk: fc.string({ maxLength: 20 }),
  integer,
  time: integer,
  unsigned: fc.bigInt(0n, 2n ** 64n - 1n).map(narrowInteger),
  float,
  boolean: fc.boolean(),
  opaque: bytes,
  objlnk: fc.record({ objectId: id16, instanceId: id16 }, { noNullPrototype: true }),
};

/** An object with one resource of each type, then one list of each type. */
const TYPED = exampleObject(4_000, [...TYPES, ...TYPES.map((type) => `${type}*`)]);
const TYPED_MODELS = createModels([TYPED]);

const instanceEntries = (base: Path): fc.Arbitrary<Entry[]> =>
  fc
    .tuple(
      ...TYPES.map((type, at) => fc.option(VALUES[type].map((value): Entry[] => [{ path: [...base, at], value }]))),
      ...TYPES.map((type, at) =>
        fc.option(
          fc
            .uniqueArray(fc.tuple(fc.nat(65_534), VALUES[type]), { minLength: 1, maxLength: 3, selector: ([id]) => id })
            .map((list) => list.map(([id, value]): Entry => ({ path: [...base, TYPES.length + at, id], value }))),
        ),
      ),
    )
    .map((groups) => groups.flatMap((group) => group ?? []));

for (const format of ["tlv", "senmlJson", "senmlCbor", "lwm2mJson", "lwm2mCbor"] as const) {
  test(`${format}: what was encoded is decoded, every type, single and in lists`, () => {
    fc.assert(
      fc.property(instanceEntries([4_000, 7]), fc.constantFrom([4_000], [4_000, 7]), (entries, base) => {
        const context = { base, models: TYPED_MODELS };
        const payload = encodePayload(CONTENT_FORMATS[format], entries, context);
        assert.deepEqual(decodePayload(CONTENT_FORMATS[format], payload, context), entries);
      }),
    );
  });
}

for (const format of ["text", "cbor", "tlv", "senmlJson", "senmlCbor", "lwm2mJson", "lwm2mCbor"] as const) {
  test(`${format}: one value of each type round trips at a resource and at a resource instance`, () => {
    const single = fc.nat(TYPES.length - 1).chain((at) => {
      const value = VALUES[TYPES[at] ?? "string"];
      return fc.oneof(
        value.map((of): Entry => ({ path: [4_000, 0, at], value: of })),
        value.map((of): Entry => ({ path: [4_000, 0, TYPES.length + at, 3], value: of })),
      );
    });
    fc.assert(
      fc.property(single, (entry) => {
        const context = { base: entry.path, models: TYPED_MODELS };
        const payload = encodePayload(CONTENT_FORMATS[format], [entry], context);
        assert.deepEqual(decodePayload(CONTENT_FORMATS[format], payload, context), [entry]);
      }),
    );
  });
}

test("§7.4.2 opaque: the payload is the value, both ways, without a copy", () => {
  const image = Uint8Array.of(0, 1, 2);
  const context = { base: [5, 0, 0], models: STANDARD_MODELS };
  assert.equal(decodePayload(CONTENT_FORMATS.opaque, image, context)[0]?.value, image);
  assert.equal(encodePayload(CONTENT_FORMATS.opaque, [{ path: [5, 0, 0], value: image }], context), image);
});

test("SenML and LwM2M JSON keep the times of measurements (RFC 8428 §4.5.3)", () => {
  const entries: Entry[] = [
    { path: [5, 0, 3], value: 1, timeS: 1_700_000_000 },
    { path: [5, 0, 3], value: 2, timeS: 1_700_000_060.5 },
  ];
  const context = { base: [5, 0, 3], models: STANDARD_MODELS };
  for (const format of [CONTENT_FORMATS.senmlJson, CONTENT_FORMATS.senmlCbor, CONTENT_FORMATS.lwm2mJson])
    assert.deepEqual(decodePayload(format, encodePayload(format, entries, context), context), entries);
  const withBase = encodeUtf8('[{"bn":"/5/0/3","bt":100,"t":-5,"v":1},{"v":2}]');
  assert.deepEqual(
    decodePayload(CONTENT_FORMATS.senmlJson, withBase, context).map(({ timeS }) => timeS),
    [95, 100],
  );
});

const NOTHING: Models = createModels([]);

test("resources no model knows: octets from TLV, text from plain text, what the format says from the rest", () => {
  const decode = (format: number, hex: string) =>
    decodePayload(format, fromHex(hex) ?? new Uint8Array(), { base: [9_000, 0, 1], models: NOTHING })[0]?.value;
  assert.deepEqual(decode(CONTENT_FORMATS.tlv, "c10107"), Uint8Array.of(7));
  assert.equal(decode(CONTENT_FORMATS.text, "37"), "7");
  assert.equal(decode(CONTENT_FORMATS.cbor, "07"), 7);
  assert.deepEqual(decode(CONTENT_FORMATS.opaque, "07"), Uint8Array.of(7));
});

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
  ["CBOR: empty", "cbor", "/3/0/9", "", "CBOR"],
  ["SenML CBOR: not a list", "senmlCbor", "/3/0", "a0", "SENML"],
  ["SenML CBOR: a record without a value", "senmlCbor", "/3/0", "81a121662f332f302f39", "SENML"],
  ["SenML CBOR: a base value", "senmlCbor", "/3/0", "81a321662f332f302f3902012401", "SENML"],
  ["SenML CBOR: a label that must be understood", "senmlCbor", "/3/0", "81a321662f332f302f39020162785f01", "SENML"],
  ["SenML CBOR: a key twice", "senmlCbor", "/3/0", "81a321662f332f302f3902010202", "CBOR"],
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

test("integers beyond 2⁵³ keep every digit in JSON", () => {
  const context = { base: [4_000, 0, 2], models: TYPED_MODELS };
  const [entry] = decodePayload(110, encodeUtf8('[{"bn":"/4000/0/2","v":18446744073709551615}]'), context);
  assert.equal(entry?.value, 18446744073709551615n);
});

test("LwM2M JSON without a base name starts at the path of the request; devices put the slash on either side", () => {
  for (const text of [
    '{"e":[{"n":"9","v":100}]}',
    '{"bn":"/3/0","e":[{"n":"9","v":100}]}',
    '{"bn":"/3/0","e":[{"n":"/9","v":100}]}',
    '{"bn":"/3/0/9","e":[{"v":100}]}',
    '{"bn":"/","e":[{"n":"3/0/9","v":100}]}',
  ]) {
    const entries = decodePayload(11_543, encodeUtf8(text), { base: [3, 0], models: STANDARD_MODELS });
    assert.deepEqual(entries, [{ path: [3, 0, 9], value: 100 }], text);
  }
});

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
