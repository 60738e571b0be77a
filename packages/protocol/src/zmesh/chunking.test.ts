import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  chunkAt,
  chunkBytesFor,
  chunkBytesOf,
  dataCountOf,
  ENC_TYPE,
  type EncType,
  isMtu,
  isUnusualMtu,
  kindOfSeq,
  LARGEST_DATA_COUNT,
  largestRepair,
  offsetOf,
  possibleChunkBytes,
  repairOfSeq,
  seqOfRepair,
} from "./chunking.ts";

const encTypes = Object.values(ENC_TYPE);
const settings = fc
  .tuple(fc.integer({ min: 40, max: 1024 }), fc.constantFrom<EncType>(...encTypes))
  .filter(([mtu, enc]) => isMtu(mtu, enc));

test("profile 1: MTU 40 … 1024, from 48 on with Enc. Type 2, and a warning outside 48 … 104", () => {
  for (const encType of encTypes) {
    const smallest = encType === ENC_TYPE.ccm ? 48 : 40;
    assert.ok(isMtu(smallest, encType) && isMtu(1024, encType));
    for (const wrong of [0, smallest - 1, 1025, 48.5, Number.NaN]) assert.equal(isMtu(wrong, encType), false);
    assert.throws(() => chunkBytesFor(smallest - 1, encType), { name: "UsageError", code: "MTU_RANGE" });
  }
  assert.deepEqual([47, 48, 104, 105].map(isUnusualMtu), [true, false, false, true]);
});

test("profile 1: the chunk of an MTU", () => {
  assert.deepEqual(
    [48, 56, 64, 104].map((mtu) => chunkBytesFor(mtu, ENC_TYPE.ctr)),
    [48, 48, 64, 96],
  );
  assert.deepEqual(
    [48, 56, 64, 104].map((mtu) => chunkBytesFor(mtu, ENC_TYPE.none, 8)),
    [48, 56, 64, 104],
  );
  assert.deepEqual(
    [48, 56, 64, 104].map((mtu) => chunkBytesFor(mtu, ENC_TYPE.ccm)),
    [40, 48, 56, 96],
  );
  assert.deepEqual(possibleChunkBytes(56, ENC_TYPE.ctr), [56, 48]);
  assert.deepEqual(possibleChunkBytes(48, ENC_TYPE.ctr), [48]);
});

test("profile 1: a chunk is a multiple of 8 and fits with its tag", () => {
  fc.assert(
    fc.property(settings, ([mtu, encType]) => {
      for (const chunkBytes of possibleChunkBytes(mtu, encType)) {
        assert.equal(chunkBytes % 8, 0);
        assert.ok(chunkBytes > 0 && chunkBytes + (encType === ENC_TYPE.ccm ? 8 : 0) <= mtu);
      }
    }),
  );
});

test("profile 1: the chunks of an image are the image, filled up with erased flash", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), settings, (image, [mtu, encType]) => {
      const chunkBytes = chunkBytesFor(mtu, encType);
      const count = dataCountOf(image.length, chunkBytes);
      const whole: number[] = [];
      for (let seq = 1; seq <= count; seq += 1) {
        assert.equal(offsetOf(seq, chunkBytes), whole.length);
        whole.push(...chunkAt(image, chunkBytes, seq));
      }
      assert.deepEqual(whole.slice(0, image.length), [...image]);
      assert.ok(whole.slice(image.length).every((byte) => byte === 0xff) && whole.length < image.length + chunkBytes);
      assert.equal(chunkBytesOf(image.length, count, [chunkBytes]), chunkBytes);
      assert.throws(() => chunkBytesOf(image.length, count + 1, [chunkBytes]), { code: "NUM_PACKETS" });
    }),
  );
});

test("profile 1: a number of packets that FW Length does not make is refused", () => {
  assert.equal(chunkBytesOf(100, 2, [56, 48]), 56);
  assert.equal(chunkBytesOf(100, 3, [56, 48]), 48);
  assert.throws(() => chunkBytesOf(100, 4, [56, 48]), { name: "PeerError", code: "NUM_PACKETS" });
  assert.throws(() => chunkBytesOf(0, 0, [48]), { code: "NUM_PACKETS" });
  assert.throws(() => chunkBytesOf(40 * 2 ** 24, 2 ** 24, [40]), { code: "NUM_PACKETS" });
});

test("profile 1: what a SEQ stands for", () => {
  assert.deepEqual(
    [0, 1, 3, 4, 5, 2 ** 24 - 1].map((seq) => kindOfSeq(seq, 3)),
    ["begin", "data", "data", "end", "repair", "repair"],
  );
  for (const wrong of [-1, 2 ** 24, 0.5, Number.NaN]) assert.throws(() => kindOfSeq(wrong, 3), { code: "SEQ_RANGE" });
  assert.equal(seqOfRepair(3, 1), 5);
  assert.equal(repairOfSeq(3, 5), 1);
  assert.equal(
    kindOfSeq(seqOfRepair(LARGEST_DATA_COUNT, largestRepair(LARGEST_DATA_COUNT)), LARGEST_DATA_COUNT),
    "repair",
  );
  assert.equal(seqOfRepair(3, largestRepair(3)), 2 ** 24 - 1);
});
