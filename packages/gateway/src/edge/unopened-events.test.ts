import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_MAX_WAITING } from "./outbox.ts";
import { UnopenedEvents } from "./unopened-events.ts";

test("what an earlier run heard counts, and a device counts once; what the server has opened does not", () => {
  const waiting = [
    { number: 3, json: '{"number":3,"kind":"event","name":"a"}' },
    { number: 4, json: '{"number":4,"kind":"order"}' },
  ];
  const events = new UnopenedEvents(waiting);
  for (const [number, device] of [
    [5, "b"],
    [6, "b"],
    [7, "c"],
  ] as const)
    events.add(number, device);
  assert.deepEqual(events.since(0), ["a", "b", "c"]);
  assert.deepEqual(events.since(6), ["c"]);
  assert.equal(events.deviceOf(5), "b");
  events.opened(6);
  assert.deepEqual([events.since(0), events.deviceOf(5)], [["c"], ""]);
});

test("with a server that is away for long, the newest are remembered", () => {
  const events = new UnopenedEvents([]);
  for (let number = 1; number <= DEFAULT_MAX_WAITING + 5; number += 1) events.add(number, `${number}`);
  assert.equal(events.since(0).length, DEFAULT_MAX_WAITING);
  assert.equal(events.deviceOf(5), "");
  assert.equal(events.deviceOf(6), "6");
});
