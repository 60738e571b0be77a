import assert from "node:assert/strict";
import { test } from "node:test";
import { ForeignFrames } from "./foreign-frames.ts";

const HOUR_MS = 3_600_000;

/** At which of so many frames somebody is told. */
const toldAt = (codes: readonly (string | undefined)[], everyMs = 1_000): number[] => {
  const frames = new ForeignFrames();
  return codes.flatMap((code, i) => (frames.hear(code, i * everyMs) ? [i] : []));
};

test("§5: frames that no key of ours made are told of once, and again after an hour", () => {
  assert.deepEqual(toldAt(Array(100).fill("FRAME_MAC")), [7]);
  assert.deepEqual(toldAt(Array(20).fill("FRAME_MAC"), HOUR_MS / 4), [7, 11, 15, 19]);
});

test("§5: a few damaged frames among good ones, and what is no frame at all, are told to nobody", () => {
  assert.deepEqual(toldAt(Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? "FRAME_MAC" : undefined))), []);
  assert.deepEqual(toldAt(Array(100).fill("FRAME_LENGTH")), []);
});
