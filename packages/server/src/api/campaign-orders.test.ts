import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { MeshPlan } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { NO_HISTORY } from "../campaign/device.ts";
import { compilePolicy } from "../campaign/policy.ts";
import type { PlannedTarget } from "../store/planned-devices.ts";
import { type PlanParts, planOf } from "./campaign-orders.ts";

const IMAGE = {
  id: "0123456789abcdef",
  manufacturer: "Acme",
  model: "pump",
  version: "2.0.0",
  hardware: [],
  sizeBytes: 1000,
};
const spec = CampaignSpec.parse({ name: "spring", image: IMAGE.id, targets: { query: "endpoint==*" } });
const policy = compilePolicy(
  spec,
  () => IMAGE,
  () => undefined,
);

const planned = (endpoint: string, version: string, isMesh: boolean): PlannedTarget => ({
  device: {
    endpoint,
    manufacturer: "Acme",
    model: "pump",
    version,
    hardware: null,
    tags: [],
    presence: "registered",
    lastSeenAtMs: null,
    signalDbm: null,
    cell: null,
    resources: {},
    timeZone: null,
    utcOffset: null,
  },
  history: NO_HISTORY,
  wave: undefined,
  isMesh,
});
const FLEET = [planned("a", "1.0.0", true), planned("b", "1.0.0", false), planned("c", "2.0.0", true)];

function partsOf(preview?: (endpoints: readonly string[]) => number): PlanParts {
  const campaigns = {
    planned: async function* () {
      yield* FLEET;
    },
    outsiders: async function* () {},
  };
  const inventory = { isEveryDevice: async () => true };
  if (preview === undefined) return { stores: { campaigns, inventory } };
  const mesh = {
    preview: async (_: string, endpoints: readonly string[]) => ({ airtimeMs: preview(endpoints) }) as MeshPlan,
  };
  return { stores: { campaigns, inventory }, mesh };
}

test("a plan tells the airtime of the devices behind gateways that it would update", async () => {
  const asked: (readonly string[])[] = [];
  const parts = partsOf((endpoints) => {
    asked.push(endpoints);
    return 5000;
  });
  assert.equal((await planOf(parts, { spec, policy })).airtimeMs, 5000);
  assert.deepEqual(asked, [["a"]]);
});

test("what cannot be broadcast as things are is a warning of the plan", async () => {
  const forbidden = await planOf(
    partsOf(() => {
      throw new UsageError("AIRTIME_OVER_BUDGET", "the law allows too little");
    }),
    { spec, policy },
  );
  assert.equal(forbidden.airtimeMs, null);
  assert.ok(forbidden.warnings.includes("1 device behind gateways: the law allows too little"));
  const without = await planOf(partsOf(), { spec, policy });
  assert.ok(without.warnings.includes("1 device behind gateways: this server speaks to no gateways"));
});
