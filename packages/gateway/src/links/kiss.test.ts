import assert from "node:assert/strict";
import { test } from "node:test";
import { LARGEST_FRAME_BYTES } from "@airlift/protocol/zmesh/frame";
import fc from "fast-check";
import { encodeKiss, KissDecoder } from "./kiss.ts";

const frame = fc.uint8Array({ minLength: 1, maxLength: LARGEST_FRAME_BYTES });
/** Mostly octets that mean something. */
const noise = fc
  .array(fc.oneof(fc.constantFrom(0xc0, 0xdb, 0xdc, 0xdd, 0x00), fc.integer({ min: 0, max: 255 })))
  .map((octets) => Uint8Array.from(octets));

test("a frame is FEND, command 0, escaped octets, FEND", () => {
  assert.deepEqual(
    encodeKiss(Uint8Array.of(1, 0xc0, 0xdb, 0xdc)),
    Uint8Array.of(0xc0, 0, 1, 0xdb, 0xdc, 0xdb, 0xdd, 0xdc, 0xc0),
  );
});

test("what is encoded is decoded, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), (frames, pieceBytes) => {
      const stream = Buffer.concat(frames.map((one) => encodeKiss(one)));
      const decoder = new KissDecoder();
      const heard: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += pieceBytes)
        heard.push(...decoder.push(stream.subarray(at, at + pieceBytes)));
      assert.deepEqual(heard, frames);
      assert.equal(decoder.refusedCount, 0);
    }),
  );
});

test("after any noise, the second whole frame arrives at the latest", () => {
  fc.assert(
    fc.property(noise, frame, (before, one) => {
      const decoder = new KissDecoder();
      decoder.push(before);
      const heard = [...decoder.push(encodeKiss(one)), ...decoder.push(encodeKiss(one))];
      assert.deepEqual(heard.at(-1), one);
    }),
  );
});

test("noise never throws, and no frame is longer than the longest", () => {
  fc.assert(
    fc.property(noise, (octets) => {
      for (const heard of new KissDecoder(64).push(octets)) assert.ok(heard.length >= 1 && heard.length <= 64);
    }),
  );
});

test("two frames may share one FEND, and FENDs may stand alone", () => {
  const decoder = new KissDecoder();
  const heard = decoder.push(Uint8Array.of(0xc0, 0xc0, 0, 1, 2, 0xc0, 0, 3, 0xc0, 0xc0));
  assert.deepEqual(heard, [Uint8Array.of(1, 2), Uint8Array.of(3)]);
});

test("data of any port is heard, other commands are passed over", () => {
  const decoder = new KissDecoder();
  const heard = decoder.push(Uint8Array.of(0xc0, 0x10, 1, 0xc0, 0x06, 9, 0xc0, 0x01, 50, 0xc0, 0x00, 2, 0xc0));
  assert.deepEqual(heard, [Uint8Array.of(1), Uint8Array.of(2)]);
});

test("a frame that is too long, or has an escape that is none, is refused alone", () => {
  const decoder = new KissDecoder(4);
  const heard = decoder.push(
    Uint8Array.of(0xc0, 0, 1, 2, 3, 4, 5, 0xc0, 0, 0xdb, 1, 0xc0, 0, 7, 0xdb, 0xc0, 0, 8, 0xc0),
  );
  assert.deepEqual(heard, [Uint8Array.of(8)]);
  assert.equal(decoder.refusedCount, 3);
});

test("ACKMODE: a frame goes out under a number, and the modem's word that it was sent is no frame", () => {
  assert.deepEqual([...encodeKiss(Uint8Array.of(1, 2), 0xc0db)], [0xc0, 0x0c, 0xdb, 0xdc, 0xdb, 0xdd, 1, 2, 0xc0]);
  const decoder = new KissDecoder();
  assert.deepEqual(decoder.push(Uint8Array.of(0xc0, 0x0c, 0xdb, 0xdc, 0xdb, 0xdd, 0xc0, 0x0c, 1, 0xc0)), []);
  assert.deepEqual(decoder.acks, [0xc0db]);
});
