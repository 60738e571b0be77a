import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import fc from "fast-check";
import { toHex } from "../lib/bytes.ts";
import { decodeFrame, encodeFrame, FRAME_KIND_ON_WIRE, type Frame, type FrameKind, relayFrame } from "./frame.ts";
import { decodeInterest, encodeInterest, encodeRangeInterest } from "./interest.ts";

const keys = { networkKey: new Uint8Array(16).fill(7), crypto: zmeshCrypto };
const strange = { ...keys, networkKey: new Uint8Array(16) };
const frame: Frame = {
  kind: "content",
  ttl: 3,
  isProxied: false,
  name: Uint8Array.of(0xfe, 1, 2, 3, 4, 5),
  fseq: 9,
  payload: Uint8Array.of(1, 2),
};
const octets = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });
const frames: fc.Arbitrary<Frame> = fc.record(
  {
    kind: fc.constantFrom(...(Object.keys(FRAME_KIND_ON_WIRE) as FrameKind[])),
    ttl: fc.integer({ min: 0, max: 7 }),
    isProxied: fc.boolean(),
    netId: octets(4),
    name: octets(6),
    fseq: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
    payload: fc.uint8Array({ maxLength: 1024 }),
  },
  { requiredKeys: ["kind", "ttl", "isProxied", "name", "fseq", "payload"], noNullPrototype: true },
);

test("profile 5: FHDR, NetID, Name, FCTRL, FSEQ, payload, MAC", () => {
  const bytes = encodeFrame({ ...frame, netId: Uint8Array.of(0xa, 0xb, 0xc, 0xd), isProxied: true }, keys);
  assert.equal(toHex(bytes.subarray(0, -4)), `${"33"}${"0a0b0c0d"}${"fe0102030405"}${"00"}${"000009"}${"0102"}`);
  assert.deepEqual(bytes.subarray(-4), zmeshCrypto.aes128Cmac(keys.networkKey, bytes.subarray(5, -4)).subarray(0, 4));
  assert.equal(
    encodeFrame({ ...frame, payload: new Uint8Array(48) }, keys).length,
    63,
    "64-byte FIFO less its length byte",
  );
  assert.equal(encodeFrame({ ...frame, netId: new Uint8Array(4), payload: new Uint8Array(104) }, keys).length, 123);
});

test("profile 5: every frame survives, and a hop leaves its MAC alone", () => {
  fc.assert(
    fc.property(frames, (one) => {
      const bytes = encodeFrame(one, keys);
      assert.deepEqual(decodeFrame(bytes, keys), one);
      const relayed = relayFrame(bytes);
      if (one.ttl === 0) assert.equal(relayed, undefined);
      else assert.deepEqual(decodeFrame(relayed ?? bytes, keys), { ...one, ttl: one.ttl - 1 });
    }),
  );
});

test("profile 5: one flipped bit between Name and MAC, or another network's key, and the frame is dropped", () => {
  const bytes = encodeFrame(frame, keys);
  for (let bit = 8; bit < 8 * bytes.length; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => decodeFrame(flipped, keys), { name: "PeerError", code: "FRAME_MAC" });
  }
  assert.throws(() => decodeFrame(bytes, strange), { code: "FRAME_MAC" });
});

test("profile 5: wrong lengths, versions and kinds are refused with a code", () => {
  for (const sizeBytes of [0, 14, 15 + 1025])
    assert.throws(() => decodeFrame(new Uint8Array(sizeBytes), keys), { code: "FRAME_LENGTH" });
  assert.throws(() => decodeFrame(new Uint8Array(18).fill(0x20), keys), { code: "FRAME_LENGTH" });
  assert.throws(() => decodeFrame(new Uint8Array(20).fill(0x40), keys), { code: "FRAME_VERSION" });
  const unknown = encodeFrame(frame, keys);
  unknown[7] = 4;
  unknown.set(zmeshCrypto.aes128Cmac(keys.networkKey, unknown.subarray(1, -4)).subarray(0, 4), unknown.length - 4);
  assert.throws(() => decodeFrame(unknown, keys), { code: "FRAME_KIND" });
  assert.throws(() => encodeFrame({ ...frame, ttl: 8 }, keys), { name: "UsageError", code: "ZMESH_FIELD" });
  assert.throws(() => encodeFrame({ ...frame, payload: new Uint8Array(1025) }, keys), { code: "FRAME_PAYLOAD" });
});

test("profile 5: an Interest asks for one packet with its FSEQ, or for a range with a bitmap", () => {
  assert.deepEqual(decodeInterest(encodeInterest(77)), [77]);
  const { fseq, payload } = encodeRangeInterest([1000, 1009, 1001], 5);
  assert.deepEqual([fseq, toHex(payload)], [5, "0003e8c040"]);
  const seqs = fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { minLength: 1 });
  fc.assert(
    fc.property(seqs, fc.integer({ min: 0, max: 2 ** 24 - 256 }), (offsets, first) => {
      const wanted = offsets.map((offset) => first + offset);
      assert.deepEqual(
        decodeInterest(encodeRangeInterest(wanted, 1)),
        wanted.sort((a, b) => a - b),
      );
    }),
  );
});

test("profile 5: Interests that ask for nothing, too much or past the last SEQ are refused with a code", () => {
  const ask =
    (...payload: number[]) =>
    () =>
      decodeInterest({ fseq: 0, payload: Uint8Array.from(payload) });
  for (const payload of [[1], [1, 2], [1, 2, 3]])
    assert.throws(ask(...payload), { name: "PeerError", code: "INTEREST_LENGTH" });
  assert.throws(ask(...new Array<number>(36).fill(1)), { code: "INTEREST_LENGTH" });
  assert.throws(ask(0, 0, 1, 0), { code: "INTEREST_EMPTY" });
  assert.throws(ask(255, 255, 255, 0x40), { code: "SEQ_RANGE" });
  assert.deepEqual(ask(255, 255, 255, 0x80)(), [2 ** 24 - 1]);
  assert.throws(() => encodeRangeInterest([], 0), { name: "UsageError", code: "INTEREST_RANGE" });
  assert.throws(() => encodeRangeInterest([0, 256], 0), { code: "INTEREST_RANGE" });
});
