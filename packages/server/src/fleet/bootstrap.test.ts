import assert from "node:assert/strict";
import { test } from "node:test";
import { claimOf } from "./bootstrap.ts";
import { bootstrapKeys, type KeptKey } from "./bootstrap-keys.ts";

const free = { isInUse: false };
const taken = { isInUse: true };

test("a factory credential of one device is for its name, named or not, and again and again", () => {
  assert.deepEqual(claimOf("pump-7", "pump-7", free), { endpoint: "pump-7" });
  assert.deepEqual(claimOf("pump-7", undefined, taken), { endpoint: "pump-7" });
  assert.deepEqual(claimOf("pump-7", "pump-8", free), { why: "its credential is for pump-7 alone" });
});

test("one that a batch shares is for names of the batch that nobody uses", () => {
  assert.deepEqual(claimOf("batch-7-*", "batch-7-0001", free), { endpoint: "batch-7-0001" });
  for (const [scope, claimed, use] of [
    ["batch-7-*", "batch-7-0001", taken],
    ["batch-7-*", "batch-8-0001", free],
    ["batch-7-*", "batch-7-", free],
    ["batch-7-*", "batch-7-*", free],
    ["batch-7-*", undefined, free],
    ["ba*", "batch-7-0001", free],
    ["*", "anything", free],
    [undefined, "batch-7-0001", free],
  ] as const)
    assert.ok("why" in claimOf(scope, claimed, use), `${scope} ${claimed}`);
});

/** A store that remembers what was asked of it. */
function createStore(kept: KeptKey[]) {
  const removed: string[] = [];
  let count = 0;
  const keys = bootstrapKeys({
    endpointOf: async ({ name }, place) => (place === "bootstrap" && name === "factory" ? "batch-*" : undefined),
    list: async () => kept.filter(({ id }) => !removed.includes(id)),
    rotate: async (endpoint) => {
      count += 1;
      return { identity: `${endpoint}-${count}`, key: "00ff" };
    },
    remove: async (_, id) => void removed.push(id),
  });
  return { keys, removed };
}

const key = (id: string, lastUsedAt: string | null, purpose: KeptKey["purpose"] = "device"): KeptKey => ({
  id,
  purpose,
  state: "active",
  lastUsedAt,
});

test("a new key replaces those before it; what interrupted tries left is cleared away, what is used stays", async () => {
  const used = "2026-01-01T00:00:00.000Z";
  const store = createStore([key("used", used), key("a", null), key("b", null), key("factory", null, "bootstrap")]);
  assert.deepEqual(await store.keys.issueDeviceCredential("pump"), { identity: "pump-1", key: Uint8Array.of(0, 255) });
  assert.deepEqual(store.removed, ["a"]);
  assert.equal(await store.keys.isInUse("pump"), true);
  assert.equal(await createStore([key("a", null)]).keys.isInUse("pump"), false);
  assert.equal(await store.keys.scopeOf({ kind: "psk", name: "factory" }), "batch-*");
});
