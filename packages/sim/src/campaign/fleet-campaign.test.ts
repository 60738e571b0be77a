import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import { countsOf } from "@airlift/server/campaign/campaign";
import type { Candidate } from "@airlift/server/campaign/device";
import { type CampaignPolicy, compilePolicy } from "@airlift/server/campaign/policy";
import { failedCount } from "@airlift/server/campaign/wave-counts";
import { seeded } from "../world.ts";
import { type BehaviourShares, runFleetCampaign } from "./fleet-campaign.ts";

const IMAGE = {
  id: "00000000000000aa",
  manufacturer: "Acme",
  model: "pump",
  version: "2.0.0",
  hardware: [],
  sizeBytes: 100_000,
};
const START = Date.UTC(2026, 2, 2, 12);
const offsetAt = (zone: string): number | undefined => (zone === "Europe/Oslo" ? 60 : undefined);

function policyOf(more: Partial<NewCampaign>): CampaignPolicy {
  const spec = CampaignSpec.parse({ name: "test", image: IMAGE.id, targets: { query: "*" }, ...more });
  return compilePolicy(spec, (id) => ({ ...IMAGE, id }), offsetAt);
}

function fleet(count: number, change: Partial<Candidate["device"]> = {}): Candidate["device"][] {
  return Array.from({ length: count }, (_, i) => ({
    endpoint: `pump-${i}`,
    manufacturer: "Acme",
    model: "pump",
    version: "1.0.0",
    hardware: null,
    tags: i < 10 ? ["canary"] : [],
    presence: "registered" as const,
    lastSeenAtMs: START,
    signalDbm: null,
    cell: `cell-${i % 50}`,
    resources: {},
    timeZone: "Europe/Oslo",
    utcOffset: null,
    ...change,
  }));
}

const run = (policy: CampaignPolicy, count: number, shares: BehaviourShares, seed = 1) =>
  runFleetCampaign({ policy, devices: fleet(count), shares, random: seeded(seed), offsetAt, startUtcMs: START });

const waves: NonNullable<NewCampaign["waves"]> = [
  { name: "canaries", devices: { query: "tags==canary" }, soak: "2h", successPercent: 90 },
  { name: "tenth", devices: { percent: 10 }, soak: "1h", successPercent: 90 },
  { name: "rest", devices: "remaining" },
];

test("a good fleet goes through its waves, soaks between them, and ends with everyone updated", async () => {
  const result = await run(policyOf({ waves, caps: { inFlight: 100 } }), 1000, {});
  assert.equal(result.campaign.state, "finished");
  assert.equal(countsOf(result.campaign).succeeded, 1000);
  assert.equal(result.mostActive, 100);
  assert.ok(result.elapsedMs >= 3 * 3_600_000, "two soaks of three hours together");
  assert.equal(result.sentences.at(-1), "finished: 1000 succeeded");
});

test("a fleet that fails stops by itself long before everyone is broken, and nothing starts any more", async () => {
  const criteria: NewCampaign["criteria"] = [
    { outcomes: ["failed", "fellBack"], threshold: { percent: 20 }, minimumExecuted: 20, do: "abort" },
  ];
  const result = await run(policyOf({ criteria, caps: { inFlight: 50 } }), 1000, { failing: 0.3, fallingBack: 0.2 });
  const counts = countsOf(result.campaign);
  assert.equal(result.campaign.state, "aborted");
  assert.ok(failedCount(counts) + counts.fellBack < 80, JSON.stringify(counts));
  assert.equal(counts.pending + counts.active + counts.held, 0);
  assert.equal(counts.total, 1000);
});

test("devices that lose power are tried again; silent, slow and sleeping ones hold up nobody", async () => {
  const shares = { powerLosing: 0.2, silent: 0.02, slow: 0.05, sleeping: 0.1 };
  const result = await run(policyOf({ caps: { inFlight: 200, startsPerMinute: 300 } }), 5000, shares);
  const counts = countsOf(result.campaign);
  assert.equal(result.campaign.state, "finished");
  assert.ok(counts.silent > 50 && counts.silent < 150, `${counts.silent} silent`);
  assert.ok(result.startedCount > 5000, "some attempts were second ones");
  assert.ok(counts.succeeded + counts.silent + failedCount(counts) === 5000);
});

test("nothing is begun outside the download window, nothing applied outside the other", async () => {
  const windows = { download: [{ cron: "0 2 * * *", for: "1h" }], apply: [{ cron: "0 4 * * sun", for: "1h" }] };
  const result = await run(policyOf({ windows }), 100, {});
  assert.equal(result.campaign.state, "finished");
  // Monday noon to Sunday 04:00 in Oslo, 03:00 UTC.
  const sunday = Date.UTC(2026, 2, 8, 3) - START;
  assert.ok(result.elapsedMs > sunday && result.elapsedMs < sunday + 3_600_000, `${result.elapsedMs}`);
});

/** `FLEET_COUNT=100000` for a large one. */
const LARGE_COUNT = Number(process.env.FLEET_COUNT ?? 20_000);

test(`${LARGE_COUNT} devices with every fault all come to an end`, async () => {
  const shares = { failing: 0.01, silent: 0.005, slow: 0.02, sleeping: 0.05, fallingBack: 0.005, powerLosing: 0.02 };
  const policy = policyOf({ waves, caps: { inFlight: 20_000, startsPerMinute: 10_000 } });
  const result = await run(policy, LARGE_COUNT, shares, 7);
  const counts = countsOf(result.campaign);
  assert.equal(result.campaign.state, "finished");
  assert.equal(counts.succeeded + failedCount(counts) + counts.silent + counts.fellBack, LARGE_COUNT);
  assert.ok(result.mostActive <= 20_000);
});
