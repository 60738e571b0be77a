import assert from "node:assert/strict";
import { test } from "node:test";
import { expectedEndMs, type SessionPace } from "./session-end.ts";

const pace: SessionPace = {
  windows: [
    { fromMs: 0, untilMs: 10_000 },
    { fromMs: 100_000, untilMs: 110_000 },
  ],
  plannedAirtimeMs: 3_000,
  usedAirtimeMs: 0,
  paceRatio: 2,
  ledger: undefined,
};

test("a broadcast ends when what is left of its airtime is sent at its pace, in its windows", () => {
  assert.equal(expectedEndMs(pace, 1_000), 7_000);
  assert.equal(expectedEndMs({ ...pace, usedAirtimeMs: 2_000 }, 1_000), 3_000);
  assert.equal(expectedEndMs(pace, 7_000), 103_000);
  assert.equal(expectedEndMs(pace, 50_000), 106_000);
});

test("never behind the last window; and nobody can say when more is used than was planned", () => {
  assert.equal(expectedEndMs({ ...pace, plannedAirtimeMs: 1e9 }, 0), 110_000);
  assert.equal(expectedEndMs({ ...pace, usedAirtimeMs: 3_000 }, 0), undefined);
});

test("what the law does not allow now is sent in the hours after", () => {
  const ledger = { budgetMs: 1_000, usedMs: 500, windowMs: 1_000, doubtMs: 0 };
  assert.equal(expectedEndMs({ ...pace, plannedAirtimeMs: 600, ledger }, 0), 2_200);
});
