import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8, fromHex, toHex } from "../lib/bytes.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";
import type { Entry } from "./entry.ts";
import { createModels, type Models, type ObjectModel } from "./model.ts";
import { STANDARD_MODELS, STANDARD_OBJECTS } from "./objects/standard.ts";
import { type Path, parsePath } from "./path.ts";
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

test("§6.4.6: a Send carries values of several objects, below the root", () => {
  const entries: Entry[] = [
    { path: [5, 0, 3], value: 2 },
    { path: [5, 0, 5], value: 0 },
    { path: [3, 0, 3], value: "1.1.10" },
  ];
  const context = { base: [], models: STANDARD_MODELS };
  for (const format of [CONTENT_FORMATS.senmlJson, CONTENT_FORMATS.senmlCbor, CONTENT_FORMATS.lwm2mCbor])
    assert.deepEqual(decodePayload(format, encodePayload(format, entries, context), context), entries);
});

test("CBOR strings may come in chunks (RFC 8949 §3.2.3)", () => {
  const decode = (path: Path, hex: string) =>
    decodePayload(60, fromHex(hex) ?? new Uint8Array(), { base: path, models: STANDARD_MODELS })[0]?.value;
  assert.deepEqual(decode([5, 0, 0], "5f42010243030405ff"), Uint8Array.of(1, 2, 3, 4, 5));
  assert.equal(decode([3, 0, 0], "7f6141606142ff"), "AB");
});

test("CBOR numbers may be decimal fractions (RFC 8949 §3.4.4)", () => {
  const payload = fromHex("c482201901f4") ?? new Uint8Array();
  assert.equal(decodePayload(60, payload, { base: [6, 0, 0], models: STANDARD_MODELS })[0]?.value, 50);
});

test("resources no model knows: octets from TLV, text from plain text, what the format says from the rest", () => {
  const decode = (format: number, hex: string) =>
    decodePayload(format, fromHex(hex) ?? new Uint8Array(), { base: [9_000, 0, 1], models: NOTHING })[0]?.value;
  assert.deepEqual(decode(CONTENT_FORMATS.tlv, "c10107"), Uint8Array.of(7));
  assert.equal(decode(CONTENT_FORMATS.text, "37"), "7");
  assert.equal(decode(CONTENT_FORMATS.cbor, "07"), 7);
  assert.deepEqual(decode(CONTENT_FORMATS.opaque, "07"), Uint8Array.of(7));
});

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
