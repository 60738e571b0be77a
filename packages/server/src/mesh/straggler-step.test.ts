import assert from "node:assert/strict";
import { test } from "node:test";
import { MOST_BROADCASTS, type StragglerFacts, stragglerStep } from "./straggler-step.ts";

const QUIET_MS = 60_000;
const facts: StragglerFacts = {
  outcome: "finished",
  endedAgoMs: 1_000,
  wasHeard: true,
  wasAsked: false,
  broadcastCount: 1,
};
const stepOf = (change: Partial<StragglerFacts>) => stragglerStep({ ...facts, ...change }, QUIET_MS);

test("who says after a broadcast that it lacks packets is asked to fetch them, and if it does not, broadcast to again", () => {
  assert.equal(stepOf({}), "ask");
  assert.equal(stepOf({ wasAsked: true, endedAgoMs: 2 * QUIET_MS }), "leave");
  assert.equal(stepOf({ wasAsked: true, endedAgoMs: 3 * QUIET_MS }), "broadcast");
});

test("who says nothing is left to those who ask the quiet ones", () => {
  assert.equal(stepOf({ wasHeard: false, endedAgoMs: 1e9 }), "leave");
});

test("a broadcast that was not finished is repeated, each time after a longer while, and not for ever", () => {
  for (const outcome of ["expired", "failed", "spent"] as const) {
    assert.equal(stepOf({ outcome, wasHeard: false, endedAgoMs: QUIET_MS - 1 }), "leave");
    assert.equal(stepOf({ outcome, wasHeard: false, endedAgoMs: QUIET_MS }), "broadcast");
    assert.equal(stepOf({ outcome, broadcastCount: 2, endedAgoMs: 2 * QUIET_MS - 1 }), "leave");
    assert.equal(stepOf({ outcome, broadcastCount: MOST_BROADCASTS, endedAgoMs: 1e9 }), "giveUp");
  }
});

test("what was cancelled stays cancelled", () => {
  assert.equal(stepOf({ outcome: "cancelled", endedAgoMs: 1e9 }), "leave");
});
