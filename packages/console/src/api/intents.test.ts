import assert from "node:assert/strict";
import { test } from "node:test";
import { INTENT_MS, Intents, MOST_INTENTS } from "./intents.ts";

test("the same request has the same key until it is answered, another request another", () => {
  const intents = new Intents();
  const key = intents.keyOf("POST campaigns {}", 0);
  assert.match(key, /^[0-9a-f]{32}$/);
  assert.equal(intents.keyOf("POST campaigns {}", 1000), key);
  assert.notEqual(intents.keyOf('POST campaigns {"name":"x"}', 1000), key);
  intents.settle("POST campaigns {}");
  assert.notEqual(intents.keyOf("POST campaigns {}", 2000), key);
});

test("an intent is forgotten after a while, and when too many others came after it", () => {
  let count = 0;
  const intents = new Intents(() => {
    count += 1;
    return `${count}`;
  });
  assert.equal(intents.keyOf("a", 0), "1");
  assert.equal(intents.keyOf("a", INTENT_MS - 1), "1");
  assert.equal(intents.keyOf("a", INTENT_MS), "2");
  for (let i = 0; i < MOST_INTENTS; i += 1) intents.keyOf(`other ${i}`, INTENT_MS);
  assert.equal(intents.keyOf("a", INTENT_MS), `${3 + MOST_INTENTS}`);
});
