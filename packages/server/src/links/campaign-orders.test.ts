import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { Update } from "@airlift/protocol/api/schemas";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { pino } from "pino";
import { compilePolicy } from "../campaign/policy.ts";
import { newTarget, type TargetOrder } from "../campaign/target.ts";
import { CampaignOrders, type CampaignOrdersOptions } from "./campaign-orders.ts";

const IMAGE = {
  id: "0123456789abcdef",
  manufacturer: "Acme",
  model: "pump",
  version: "2.0.0",
  hardware: [],
  sizeBytes: 1000,
};
/** Download from one to two, apply from two to three, where the device is: an hour ahead of UTC. */
const SPEC = CampaignSpec.parse({
  name: "nights",
  image: IMAGE.id,
  targets: { query: "*" },
  windows: { download: [{ cron: "0 1 * * *", for: "1h" }], apply: [{ cron: "0 2 * * *", for: "1h" }] },
});

function ordersOf(order: TargetOrder, spec = SPEC) {
  const done: string[] = [];
  const target = { ...newTarget({ campaignId: "c", endpoint: "d", wave: 0, orderKey: 0 }), attempt: 1, order };
  const update = { id: "u", finishedAt: null, apply: false, campaignId: "c", endpoint: "d" } as Update;
  const create = async ({ delta }: { readonly delta?: boolean }) => {
    done.push(delta ? "begun, maybe by a delta" : "begun");
    return update;
  };
  const options = {
    stores: {
      campaigns: {
        takeOrders: async () => [{ target, order }],
        get: async () => ({ policy: compilePolicy(spec, () => IMAGE, offsetAt) }),
        orderDone: async () => void done.push("done"),
      },
      updates: { create, ofAttempt: async () => update },
      devices: { get: async () => ({ timezone: null, utcOffset: "+01:00" }) },
    },
    delivery: { isRunning: () => true, apply: async () => void done.push("applied"), takeOver: async () => {} },
    reports: { add: ({ state, sentence }: { state?: string; sentence?: string }) => done.push(`${state} ${sentence}`) },
    log: pino({ level: "silent" }),
  } as unknown as CampaignOrdersOptions;
  return { orders: new CampaignOrders(options), done };
}

test("an order that comes when its window has closed waits for the next one, and says so", async () => {
  const { orders, done } = ordersOf({ kind: "apply", attempt: 1 });
  await orders.carryOut(Date.UTC(2026, 5, 1, 6));
  assert.deepEqual(done.splice(0), ["waitingToApply waiting: outside its apply window, next 02:00 +01:00"]);
  await orders.carryOut(Date.UTC(2026, 5, 2, 1, 10));
  assert.deepEqual(done, ["applied", "done"]);
});

test("nothing is begun outside the download window", async () => {
  const { orders, done } = ordersOf({ kind: "begin", attempt: 1, imageId: IMAGE.id });
  await orders.carryOut(Date.UTC(2026, 5, 1, 1));
  assert.match(done.splice(0).join(), /^waiting waiting: outside its download window, next \S+/);
  await orders.carryOut(Date.UTC(2026, 5, 1, 0, 30));
  assert.equal(done[0], "begun");
});

test("a campaign's updates may be deltas where its file says so", async () => {
  const { orders, done } = ordersOf({ kind: "begin", attempt: 1, imageId: IMAGE.id }, { ...SPEC, delta: true });
  await orders.carryOut(Date.UTC(2026, 5, 1, 0, 30));
  assert.equal(done[0], "begun, maybe by a delta");
});
