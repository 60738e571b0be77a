import assert from "node:assert/strict";
import { test } from "node:test";
import { planNext } from "./retry-plan.ts";

const attempt = (changes = {}) => ({ kind: "update.note", attempts: 1, ageMs: 0, chance: 0.5, ...changes });
const OUT = { status: null, problem: "connection refused" } as const;

test("pauses double up to an hour, spread by half of themselves to either side", () => {
  const pauses = [1, 2, 3, 10, 11, 20].map((attempts) => {
    const next = planNext(OUT, attempt({ attempts }));
    return next.kind === "again" ? next.afterMs / 1000 : 0;
  });
  assert.deepEqual(pauses, [5, 10, 20, 2560, 3600, 3600]);
  const spread = [0, 1].map((chance) => {
    const next = planNext(OUT, attempt({ chance }));
    return next.kind === "again" ? next.afterMs : 0;
  });
  assert.deepEqual(spread, [2500, 7500]);
});

test("2xx is success and nothing else is", () => {
  for (const status of [200, 204, 299]) assert.equal(planNext({ status }, attempt()).kind, "delivered");
  for (const status of [199, 301, 404, 429, 500]) assert.equal(planNext({ status }, attempt()).kind, "again");
});

test("given up: at its age, after its attempts, when the receiver is gone, and a test at once", () => {
  assert.equal(planNext(OUT, attempt({ ageMs: 86_400_000 })).kind, "dead");
  assert.equal(planNext(OUT, attempt({ ageMs: 86_390_000 })).kind, "again");
  assert.equal(planNext(OUT, attempt({ attempts: 40 })).kind, "dead");
  assert.equal(planNext({ status: 410 }, attempt()).kind, "dead");
  assert.equal(planNext(OUT, attempt({ kind: "webhook.test" })).kind, "dead");
});
