import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { UpdateState } from "@airlift/protocol/update/device-update";
import { newCampaign } from "./campaign.ts";
import { exampleDevice } from "./device-example.ts";
import { CampaignEngine } from "./engine.ts";
import { MemoryCampaignStore } from "./memory-store.ts";
import { compilePolicy } from "./policy.ts";
import { newTarget } from "./target.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const IMAGE = {
  id: "00000000000000aa",
  manufacturer: "Acme",
  model: "pump",
  version: "2.0.0",
  hardware: [],
  sizeBytes: 1000,
};
const ENDPOINTS = ["opens", "before", "broken", "after", "quiet"];

/** A campaign that aborts with its first failure, all of its devices under way. */
async function running() {
  const spec = CampaignSpec.parse({
    name: "test",
    image: IMAGE.id,
    targets: { query: "*" },
    criteria: [{ outcomes: ["failed"], threshold: { count: 1 }, do: "abort" }],
    retry: {},
  });
  const policy = compilePolicy(
    spec,
    () => IMAGE,
    () => 0,
  );
  const store = new MemoryCampaignStore();
  const targets = ENDPOINTS.map((endpoint, i) => newTarget({ campaignId: "c", endpoint, wave: 0, orderKey: i }));
  store.add(newCampaign({ id: "c", createdBy: "x" }, policy, [targets.length]), policy, targets);
  for (const endpoint of ENDPOINTS) store.setDevice(exampleDevice(endpoint, { lastSeenAtMs: NOW }));
  const engine = new CampaignEngine(store, () => 0);
  for (const command of ["submit", "start"] as const) await engine.command("c", { command, by: "x" }, NOW);
  const tell = (endpoint: string, state: UpdateState) => {
    const failure = state === "failed" ? ("updateFailed" as const) : null;
    return engine.report({ campaignId: "c", endpoint }, { attempt: 1, state, failure, sentence: state }, NOW);
  };
  return { store, tell };
}

test("a threshold that is crossed in the middle of a turn stops those before it and those behind it", async () => {
  const { store, tell } = await running();
  // The first is written alone; the others share the turn behind it.
  await Promise.all([
    tell("opens", "transferring"),
    tell("before", "transferring"),
    tell("broken", "failed"),
    tell("after", "downloaded"),
  ]);
  assert.equal(store.campaign("c").state, "aborted");
  const orders = store.targets("c").map(({ endpoint, state, order }) => [endpoint, state, order?.kind ?? null]);
  assert.deepEqual(orders, [
    ["opens", "transferring", "cancel"],
    ["before", "transferring", "cancel"],
    ["broken", "failed", null],
    ["after", "downloaded", "cancel"],
    ["quiet", "waiting", "cancel"],
  ]);
});

test("every report of a turn resolves with what the whole turn came to", async () => {
  const { tell } = await running();
  const campaigns = await Promise.all([
    tell("opens", "transferring"),
    tell("before", "transferring"),
    tell("broken", "failed"),
  ]);
  assert.deepEqual(
    campaigns.map(({ state }) => state),
    ["running", "aborted", "aborted"],
  );
});
