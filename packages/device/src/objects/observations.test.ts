import assert from "node:assert/strict";
import { test } from "node:test";
import { drain } from "@airlift/sim/world";
import { Observations } from "./observations.ts";

const observe = (observation: number, attributes: { pmin?: number; pmax?: number }) =>
  ({ kind: "observe", observation, attributes, value: 0 }) as const;
const value = (observation: number, now: number) => ({ kind: "value", observation, value: now }) as const;

test("§5.1.2: a change without attributes is told at once, the same value not at all", () => {
  const core = new Observations();
  core.step(observe(1, {}), 0);
  assert.deepEqual(core.step(value(1, 1), 5), [{ kind: "notify", observation: 1 }]);
  assert.deepEqual(core.step(value(1, 1), 6), []);
});

test("§5.1.2: pmin holds a change back, however many there are", () => {
  const core = new Observations();
  core.step(observe(1, { pmin: 10 }), 0);
  core.step(value(1, 1), 1_000);
  core.step(value(1, 2), 2_000);
  assert.deepEqual(drain(core, { kind: "wake" }), [{ atMs: 10_000, output: { kind: "notify", observation: 1 } }]);
});

test("§5.1.2: pmax tells an unchanged value; each observation has its own time", () => {
  const core = new Observations();
  core.step(observe(1, { pmax: 60 }), 0);
  core.step(observe(2, { pmax: 90 }), 0);
  assert.equal(core.wakeAtMs, 60_000);
  assert.deepEqual(core.step({ kind: "wake" }, 60_000), [{ kind: "notify", observation: 1 }]);
  assert.deepEqual(core.step({ kind: "wake" }, 90_000), [{ kind: "notify", observation: 2 }]);
  core.step({ kind: "end", observation: 1 }, 90_000);
  assert.equal(core.wakeAtMs, 180_000);
});

test("attributes that are written later hold for observations that stand", () => {
  const core = new Observations();
  core.step(observe(1, { pmin: 10 }), 0);
  core.step(value(1, 1), 1_000);
  const released = core.step({ kind: "attributes", observation: 1, attributes: {} }, 2_000);
  assert.deepEqual(released, [{ kind: "notify", observation: 1 }]);
});

test("what has ended is never told again", () => {
  const core = new Observations();
  core.step(observe(1, { pmin: 10 }), 0);
  core.step(value(1, 1), 1);
  core.step({ kind: "end", observation: 1 }, 2);
  assert.equal(core.wakeAtMs, undefined);
  assert.deepEqual(core.step(value(1, 2), 3), []);
});
