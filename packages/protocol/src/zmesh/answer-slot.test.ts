import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerSlot } from "./answer-slot.ts";

const poll = { name: new Uint8Array(6), lastRepair: 0, slotCount: 4, slotMs: 20, leastDeficit: 1 };

test("§8: an answer has a slot of the device's own choosing, and is said once", () => {
  const slot = new AnswerSlot(() => 0.6);
  assert.equal(slot.take(0), false);
  slot.plan(poll, 3, 1000);
  assert.equal(slot.dueAtMs, 1040);
  assert.equal(slot.take(1039), false);
  assert.equal(slot.take(1040), true);
  assert.equal(slot.take(1040), false);
  assert.equal(slot.dueAtMs, undefined);
});

test("§8: who hears a deficit as large as its own keeps silent, and speaks after a smaller one", () => {
  const slot = new AnswerSlot(() => 0);
  slot.plan(poll, 3, 0);
  slot.overhear(2);
  assert.equal(slot.dueAtMs, 0);
  slot.overhear(3);
  assert.equal(slot.take(0), false);
});
