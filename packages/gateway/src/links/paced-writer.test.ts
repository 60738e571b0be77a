import assert from "node:assert/strict";
import { test } from "node:test";
import { GRACE_MS, MOST_AHEAD_MS, MOST_WAITING_MS, PacedWriter } from "./paced-writer.ts";

const frameOf = (number: number): Uint8Array => Uint8Array.of(number);
const numbersOf = (due: readonly { readonly frame: Uint8Array }[] = []): (number | undefined)[] =>
  due.map(({ frame }) => frame[0]);

test("a modem that takes all at once gets all at once", () => {
  const writer = new PacedWriter();
  for (let i = 0; i < 100; i += 1) {
    const due = writer.send(frameOf(i), 100, i * 100);
    assert.deepEqual(numbersOf(due), [i]);
    for (const { id } of due) writer.taken(id, i * 100);
  }
  assert.deepEqual([writer.lostCount, writer.isWaiting, writer.aheadMs], [0, false, 0]);
});

test("what is on its way is bounded in airtime, and one frame may always be", () => {
  const writer = new PacedWriter();
  assert.equal(writer.send(frameOf(1), 2 * MOST_AHEAD_MS, 0).length, 1);
  assert.equal(writer.send(frameOf(2), 1, 0).length, 0);
  assert.deepEqual(numbersOf(writer.taken(0, 0)), [2]);
  assert.equal(writer.taken(7, 0), undefined, "a number that is not on its way");
});

test("what waits is bounded in airtime; the newest is lost", () => {
  const writer = new PacedWriter();
  const sendCount = 30;
  for (let i = 0; i < sendCount; i += 1) writer.send(frameOf(i), 100, 0);
  assert.equal(writer.lostCount, sendCount - (MOST_AHEAD_MS + MOST_WAITING_MS) / 100);
});

test("a frame whose slot is over is never handed over", () => {
  const writer = new PacedWriter();
  for (let i = 0; i < 6; i += 1) writer.send(frameOf(i), 100, 0);
  // Slots of 100 ms each, one after the other from 0 on: those of 0 and 1 are with the modem.
  assert.deepEqual(numbersOf(writer.taken(1, 400 + GRACE_MS)), [3, 4]);
  assert.equal(writer.lostCount, 1);
  assert.deepEqual(numbersOf(writer.taken(3, 3_600_000)), []);
  assert.equal(writer.lostCount, 2);
});

test("65 536 frames and more have numbers, and a later one's speaks for those before it", () => {
  const writer = new PacedWriter();
  let taken = 0;
  for (let i = 0; i < 70_000; i += 1)
    for (const { id } of writer.send(frameOf(i), 1, i)) {
      taken = id;
      if (i % 3 === 0) writer.taken(id, i);
    }
  writer.taken(taken, 70_000);
  assert.deepEqual([writer.isWaiting, writer.lostCount], [false, 0]);
});
