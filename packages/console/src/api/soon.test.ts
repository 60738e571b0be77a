import assert from "node:assert/strict";
import { test } from "node:test";
import { soon } from "./soon.ts";

test("what is asked for in one moment is done once, soon; while it keeps being asked for, at intervals", ({ mock }) => {
  let nowMs = 0;
  mock.method(performance, "now", () => nowMs);
  mock.timers.enable({ apis: ["setTimeout"] });
  const pass = (ms: number) => {
    nowMs += ms;
    mock.timers.tick(ms);
  };
  let count = 0;
  const thing = soon(() => {
    count += 1;
  });
  for (let i = 0; i < 50; i += 1) thing.ask();
  pass(100);
  assert.equal(count, 1);
  for (let i = 0; i < 15; i += 1) {
    thing.ask();
    pass(100);
  }
  assert.equal(count, 2);
  thing.ask();
  thing.stop();
  pass(10_000);
  assert.equal(count, 2);
});
