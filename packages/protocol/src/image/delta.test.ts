import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PeerError, UsageError } from "../lib/errors.ts";
import { DELTA_HEADER_BYTES, decodeDeltaHeader, encodeDeltaHeader, isDelta } from "./delta.ts";

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const header = fc.record({
  baseSizeBytes: fc.maxSafeNat(),
  imageSizeBytes: fc.maxSafeNat(),
  baseSha256: hash,
  imageSha256: hash,
});

test("a header is decoded as it was encoded, and recognised", () => {
  fc.assert(
    fc.property(header, (one) => {
      const bytes = encodeDeltaHeader(one);
      assert.equal(bytes.length, DELTA_HEADER_BYTES);
      assert.ok(isDelta(bytes.subarray(0, 16)));
      assert.deepEqual(decodeDeltaHeader(bytes), { ...one });
    }),
  );
});

test("RFC 8878 §3.1.2: other programs skip the header", () => {
  const sha = new Uint8Array(32);
  const bytes = encodeDeltaHeader({ baseSizeBytes: 1, imageSizeBytes: 2, baseSha256: sha, imageSha256: sha });
  assert.deepEqual([...bytes.subarray(0, 8)], [0x5d, 0x2a, 0x4d, 0x18, 88, 0, 0, 0]);
});

test("what is no header is a PeerError", () => {
  const sha = new Uint8Array(32);
  const good = encodeDeltaHeader({ baseSizeBytes: 1, imageSizeBytes: 2, baseSha256: sha, imageSha256: sha });
  const changed = (at: number, value: number): Uint8Array => Uint8Array.from(good).fill(value, at, at + 1);
  for (const bytes of [good.subarray(0, 95), changed(0, 0), changed(4, 89), changed(8, 0), changed(23, 0xff)]) {
    assert.throws(() => decodeDeltaHeader(bytes), PeerError);
  }
  assert.equal(isDelta(good.subarray(0, 15)), false);
});

test("what cannot be a header is not encoded", () => {
  const sha = new Uint8Array(32);
  for (const wrong of [{ baseSizeBytes: -1 }, { imageSizeBytes: 0.5 }, { baseSha256: new Uint8Array(31) }]) {
    assert.throws(
      () => encodeDeltaHeader({ baseSizeBytes: 1, imageSizeBytes: 1, baseSha256: sha, imageSha256: sha, ...wrong }),
      UsageError,
    );
  }
});
