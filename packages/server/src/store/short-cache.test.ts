import assert from "node:assert/strict";
import { test } from "node:test";
import { ShortCache } from "./short-cache.ts";

test("an answer is asked for once in its lifetime, and again after it or after an emptying", async () => {
  let nowMs = 0;
  let askedCount = 0;
  const cache = new ShortCache<number>({ entryCount: 10, lifetimeMs: 100, now: () => nowMs });
  const ask = async () => await cache.get("key", async () => ++askedCount);
  assert.deepEqual([await ask(), await ask()], [1, 1]);
  nowMs = 100;
  assert.equal(await ask(), 2);
  cache.clear();
  assert.equal(await ask(), 3);
});

test("a flood of names takes bounded room and leaves what is in use; what is not there takes none", async () => {
  const cache = new ShortCache<string>({ entryCount: 10, lifetimeMs: 1e9 });
  await cache.get("used", async () => "used");
  for (let n = 0; n < 1000; n += 1) {
    await cache.get(`name-${n}`, async () => "other");
    await cache.get(`nobody-${n}`, async () => undefined);
    await cache.get("used", async () => assert.fail("it was forgotten"));
  }
  assert.equal(cache.size, 10);
});

test("what was read before a change is not kept after it", async () => {
  const cache = new ShortCache<string>({ entryCount: 10, lifetimeMs: 1e9 });
  const { promise, resolve } = Promise.withResolvers<string>();
  const reading = cache.get("key", () => promise);
  cache.clear();
  resolve("old");
  assert.equal(await reading, "old");
  assert.equal(await cache.get("key", async () => "new"), "new");
});
