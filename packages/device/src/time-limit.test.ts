import assert from "node:assert/strict";
import { test } from "node:test";
import { inTime } from "./time-limit.ts";

test("what settles in time goes through, also an error, also without a promise", async () => {
  assert.equal(await inTime(7, 1, "write"), 7);
  assert.equal(await inTime(Promise.resolve(7), 60_000, "write"), 7);
  await assert.rejects(inTime(Promise.reject(new Error("full")), 60_000, "write"), { message: "full" });
});

test("what never settles is given up by name", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const given = inTime(new Promise(() => undefined), 1_000, "finish");
  context.mock.timers.tick(1_000);
  await assert.rejects(given, { code: "HANDLER_TIMEOUT", facts: { handler: "finish", limitMs: 1_000 } });
});

test("a promise that is not this realm's has the same limit", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  // biome-ignore lint/suspicious/noThenProperty: that is what it is about.
  const given = inTime({ then: () => new Promise<never>(() => undefined) }, 1_000, "finish");
  context.mock.timers.tick(1_000);
  await assert.rejects(given, { code: "HANDLER_TIMEOUT" });
});
