import assert from "node:assert/strict";
import { test } from "node:test";
import { PowerCut } from "./flash.ts";
import { FlashPower, ProgrammedTwice, SimWordFlash } from "./word-flash.ts";

const size = { sizeBytes: 64, pageBytes: 32 };
const word = new Uint8Array(8).fill(1);

test("a word is programmed once between two erasures, whatever it holds", () => {
  const flash = new SimWordFlash(size);
  flash.program(8, word);
  assert.throws(() => flash.program(8, word), ProgrammedTwice);
  flash.program(16, new Uint8Array(8).fill(0xff));
  assert.throws(() => flash.program(16, word), ProgrammedTwice);
  flash.erase(0);
  flash.program(8, word);
  assert.deepEqual([flash.programCount, flash.eraseCount], [3, 1]);
});

test("what does not lie on a word or a page is refused", () => {
  const flash = new SimWordFlash(size);
  for (const offset of [4, 64, -8]) assert.throws(() => flash.program(offset, word), RangeError);
  for (const offset of [8, 64]) assert.throws(() => flash.erase(offset), RangeError);
});

test("at a power cut a word is there or not, and nothing works until the restart", () => {
  for (const chance of [0, 1]) {
    const power = new FlashPower(() => chance);
    const flash = new SimWordFlash(size, power);
    power.cutAt = 1;
    flash.program(0, word);
    assert.throws(() => flash.program(8, word), PowerCut);
    assert.throws(() => flash.program(16, word), PowerCut);
    power.restart();
    assert.equal(flash.bytes[8], chance === 0 ? 1 : 0xff);
    flash.program(16, word);
  }
});
