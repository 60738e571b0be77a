import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { Refusals } from "./refusals.ts";

const refusal = { transport: "dtls", code: "PSK_KEY_WRONG", why: "the key is another one", address: "192.0.2.7:5000" };

test("the first of a kind is told at once, those of the next minute as one number, and none forever", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lines: { msg: string; count: number }[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const refusals = new Refusals(log, 60_000);
  assert.ok(refusals.add(refusal));
  for (let n = 0; n < 500; n += 1) assert.ok(!refusals.add(refusal));
  assert.ok(refusals.add({ ...refusal, about: "pump" }));
  assert.equal(lines.length, 2);
  t.mock.timers.tick(60_000);
  assert.deepEqual([lines.length, lines[2]?.count], [3, 500]);
  assert.equal(lines[2]?.msg, "refused 500 more like this one: the key is another one");
  t.mock.timers.tick(600_000);
  assert.equal(lines.length, 3);
  assert.ok(refusals.add(refusal));
  assert.deepEqual([...refusals.counts()], [{ transport: "dtls", code: "PSK_KEY_WRONG", count: 503 }]);
  refusals.close();
});

test("a flood of kinds shares one line", () => {
  const lines: string[] = [];
  const refusals = new Refusals(pino({ level: "info" }, { write: (line: string) => void lines.push(line) }));
  for (let n = 0; n < 5_000; n += 1) refusals.add({ ...refusal, about: String(n) });
  assert.equal(lines.length, 1_001);
  refusals.close();
});
