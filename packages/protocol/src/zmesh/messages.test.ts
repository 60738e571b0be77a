import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "../lib/bytes.ts";
import { LARGEST_DATA_COUNT } from "./chunking.ts";
import { crc32 } from "./crc32.ts";
import { AT_ONCE, NEVER } from "./instant.ts";
import { type Begin, decodeBegin, decodeEnd, type End, encodeBegin, encodeEnd } from "./messages.ts";

const begin: Begin = { lengthBytes: 100, crc32: 0x58c932f5, dataCount: 3 };
const end: End = {
  ...begin,
  repairCount: 5,
  repairScheme: 2,
  applyAtMs: NEVER,
  flags: 0,
  imageDigest: new Uint8Array(16),
};
const u = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const begins = fc
  .record({
    lengthBytes: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    crc32: u(32),
    dataCount: fc.integer({ min: 1, max: LARGEST_DATA_COUNT }),
  })
  .map((one) => ({ ...one, dataCount: Math.min(one.dataCount, one.lengthBytes) }));

test("profile 1: the CRC is zlib's, in one piece or several", () => {
  const digits = new TextEncoder().encode("123456789");
  assert.equal(crc32(digits), 0xcbf43926);
  assert.equal(crc32(digits.subarray(4), crc32(digits.subarray(0, 4))), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test("Update Begin message: FW Length, FW CRC32, FW Num packets, big-endian", () => {
  assert.equal(toHex(encodeBegin(begin)), "0000006458c932f500000003");
  fc.assert(fc.property(begins, (one) => assert.deepEqual(decodeBegin(encodeBegin(one)), one)));
});

test("profile 1: End repeats Begin, then repair, Apply Time, flags and half the image's digest", () => {
  const bytes = encodeEnd({
    ...end,
    applyAtMs: 1767225600000,
    flags: 0x0102,
    imageDigest: new Uint8Array(16).fill(0xab),
  });
  assert.equal(toHex(bytes), `0000006458c932f500000003${"000005"}${"02"}${"019b76daa800"}${"0102"}${"ab".repeat(16)}`);
  const ends = fc.record({
    repairCount: u(24),
    repairScheme: fc.constantFrom(1 as const, 2 as const),
    applyAtMs: fc.oneof(fc.constantFrom(AT_ONCE, NEVER), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
    flags: u(16),
    imageDigest: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  });
  fc.assert(
    fc.property(begins, ends, (b, e) => assert.deepEqual(decodeEnd(encodeEnd({ ...b, ...e })), { ...b, ...e })),
  );
});

test("profile 1: a message of another length is refused, never guessed at", () => {
  for (let sizeBytes = 0; sizeBytes < 64; sizeBytes += 1) {
    const bytes = new Uint8Array(sizeBytes).fill(1);
    if (sizeBytes !== 12) assert.throws(() => decodeBegin(bytes), { name: "PeerError", code: "BEGIN_LENGTH" });
    if (sizeBytes !== 40) assert.throws(() => decodeEnd(bytes), { name: "PeerError", code: "END_LENGTH" });
  }
});

test("profile 1: numbers that lie are refused", () => {
  const lies = [
    "000000640000000000000000",
    "000000000000000000000001",
    "000000020000000000000003",
    "ffffffff0000000000fffffe",
  ];
  for (const lie of lies) {
    const bytes = fromHex(lie) ?? assert.fail();
    assert.throws(() => decodeBegin(bytes), { code: "NUM_PACKETS" }, lie);
    assert.throws(() => decodeEnd(Uint8Array.from([...bytes, ...encodeEnd(end).subarray(12)])), {
      code: "NUM_PACKETS",
    });
  }
  assert.throws(() => encodeBegin({ ...begin, dataCount: 0 }), { name: "UsageError", code: "NUM_PACKETS" });
  const scheme = encodeEnd(end);
  scheme[15] = 3;
  assert.throws(() => decodeEnd(scheme), { code: "REPAIR_SCHEME" });
});

test("what does not fit into its field is not written", () => {
  for (const wrong of [{ crc32: -1 }, { crc32: 2 ** 32 }, { crc32: 0.5 }, { lengthBytes: 2 ** 32 }])
    assert.throws(() => encodeBegin({ ...begin, ...wrong }), { name: "UsageError", code: "ZMESH_FIELD" });
  assert.throws(() => encodeEnd({ ...end, imageDigest: new Uint8Array(15) }), { code: "ZMESH_FIELD" });
  assert.throws(() => encodeEnd({ ...end, applyAtMs: 2 ** 48 }), { code: "ZMESH_FIELD" });
});
