import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_REASSEMBLY, Reassembly } from "./reassembly.ts";

const bodyOf = (length: number, salt: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 7 + salt);

test("RFC 6347 §4.2.2, §4.2.3: pieces of any cut, in any order, overlapping and doubled, give the messages in order", () => {
  const piece = fc.tuple(fc.nat(2), fc.nat(99), fc.integer({ min: 1, max: 40 }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const reassembly = new Reassembly(5, DEFAULT_REASSEMBLY);
      const bodies = [bodyOf(100, 1), bodyOf(37, 2), bodyOf(0, 3)];
      const add = (index: number, offset: number, length: number): void => {
        const body = bodies[index] as Uint8Array;
        const start = Math.min(offset, body.length);
        const bytes = body.subarray(start, start + length);
        reassembly.add({ type: index + 1, number: 5 + index, sizeBytes: body.length, offset: start, bytes });
      };
      for (const [index, offset, length] of pieces) add(index, offset, length);
      for (const index of [2, 1, 0]) add(index, 0, 1_000);
      const taken = [reassembly.take(), reassembly.take(), reassembly.take(), reassembly.take()];
      assert.deepEqual(
        taken.map((message) => message?.body),
        [...bodies, undefined],
      );
    }),
  );
});

test("bounds: too long, too far ahead, too many in all, contradicting what came first: ignored", () => {
  const limits = { messageBytes: 100, messagesAhead: 2, pieces: 3, heldBytes: 150 };
  const reassembly = new Reassembly(0, limits);
  const add = (number: number, sizeBytes: number, offset: number, length: number, type = 1): void =>
    reassembly.add({ type, number, sizeBytes, offset, bytes: new Uint8Array(length) });
  add(0, 101, 0, 101);
  assert.equal(reassembly.take(), undefined);
  add(2, 10, 0, 10);
  add(1, 100, 0, 100);
  add(0, 60, 0, 60);
  assert.equal(reassembly.take(), undefined, "100 + 60 octets are more than are held");
  add(0, 50, 0, 10);
  add(0, 50, 0, 50, 2);
  add(0, 40, 0, 40);
  for (const offset of [12, 16, 20, 24]) add(0, 50, offset, 1);
  assert.equal(reassembly.take(), undefined);
  add(0, 50, 0, 50);
  assert.deepEqual([reassembly.take()?.number, reassembly.take()?.number, reassembly.take()], [0, 1, undefined]);
  add(2, 10, 0, 10);
  assert.equal(reassembly.take()?.number, 2);
});
