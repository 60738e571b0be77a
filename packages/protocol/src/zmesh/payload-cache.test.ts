import assert from "node:assert/strict";
import { test } from "node:test";
import { PayloadCache } from "./payload-cache.ts";

const payload = (sizeBytes: number) => new Uint8Array(sizeBytes);
// Three payloads of 4 octets with what their entries cost.
const ROOM_BYTES = 3 * (4 + 96);

test("the payload used longest ago goes first", () => {
  const cache = new PayloadCache(ROOM_BYTES);
  for (const key of ["a", "b", "c"]) cache.set(key, payload(4));
  assert.ok(cache.get("a"));
  cache.set("d", payload(4));
  assert.deepEqual(
    ["a", "b", "c", "d"].map((key) => cache.get(key) !== undefined),
    [true, false, true, true],
  );
});

test("a payload that replaces another is counted once, one that is larger than the room is not kept", () => {
  const cache = new PayloadCache(ROOM_BYTES);
  for (let i = 0; i < 9; i += 1) cache.set("a", payload(4));
  assert.equal(cache.sizeBytes, 100);
  cache.set("b", payload(1000));
  assert.deepEqual([cache.get("b"), cache.sizeBytes], [undefined, 0]);
});

test("all payloads of a content go together", () => {
  const cache = new PayloadCache();
  for (const key of ["a/1", "a/2", "ab/1"]) cache.set(key, payload(4));
  cache.removeAll("a/");
  assert.deepEqual([cache.get("a/1"), cache.get("ab/1") !== undefined, cache.sizeBytes], [undefined, true, 100]);
});
