import assert from "node:assert/strict";
import { test } from "node:test";
import { FloodGate } from "./flood-gate.ts";

const gate = () => new FloodGate(0, { perSecond: 10, burst: 20, toleranceMs: 2_000 });

test("a burst after a silence is taken whole, what is faster is dropped", () => {
  const one = gate();
  const verdicts = Array.from({ length: 25 }, () => one.notified(0));
  assert.deepEqual([verdicts.filter((verdict) => verdict === "take").length, verdicts.at(-1)], [20, "drop"]);
});

test("1,000 notifications a second are taken at ten a second, and stopped after the tolerance", () => {
  const one = gate();
  const verdicts: string[] = [];
  for (let ms = 0; ms < 10_000 && verdicts.at(-1) !== "stop"; ms += 1) verdicts.push(one.notified(ms));
  assert.equal(verdicts.at(-1), "stop");
  assert.ok(verdicts.length >= 2_000 && verdicts.length <= 2_100, `${verdicts.length}`);
  assert.ok(verdicts.filter((verdict) => verdict === "take").length <= 20 + 10 * 2.1);
});

test("a flood that pauses is forgiven", () => {
  const one = gate();
  for (let ms = 0; ms < 1_000; ms += 1) one.notified(ms);
  assert.equal(one.notified(10_000), "take");
  for (let at = 0; at < 19; at += 1) one.notified(10_000);
  assert.equal(one.notified(10_001), "drop");
});
