/** The two campaigns of the model, and what holds of them after each step, whatever happened in it. For tests. */
import assert from "node:assert/strict";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import { FAILURE_KINDS } from "@airlift/protocol/update/device-update";
import { type Campaign, openWaves } from "../campaign/campaign.ts";
import { type CampaignPolicy, compilePolicy } from "../campaign/policy.ts";
import { placeOf, type Target } from "../campaign/target.ts";
import { countAt, NO_COUNTS, sumCounts, type WaveCounts } from "../campaign/wave-counts.ts";

const IN_FLIGHT = 9;
const PER_CELL = 3;
const PER_MINUTE = 20;

/** Versions by image: a stepping stone and what it leads to. */
export const IMAGES: Readonly<Record<string, string>> = { "00000000000000aa": "2.0.0", "00000000000000bb": "1.5.0" };

/** With waves, criteria, windows, caps and a stepping stone. */
export function policyOf(name: string, priority: number): CampaignPolicy {
  const spec = CampaignSpec.parse({
    name,
    image: "00000000000000aa",
    targets: { query: "*" },
    priority,
    from: [{ atLeast: "1.5.0" }],
    steppingStones: [{ image: "00000000000000bb" }],
    waves: [
      { name: "first", devices: { count: 10 }, soak: "10m", successPercent: 50 },
      {
        name: "second",
        devices: { percent: 40 },
        successPercent: 30,
        criteria: [
          {
            outcomes: ["silent", "updateFailed"],
            threshold: { percent: 30 },
            window: "1h",
            minimumExecuted: 4,
            do: "pauseWave",
          },
        ],
      },
      { name: "rest", devices: "remaining" },
    ],
    criteria: [{ outcomes: ["fellBack"], threshold: { count: 9 }, do: "pauseCampaign" }],
    caps: { inFlight: IN_FLIGHT, startsPerMinute: PER_MINUTE, inFlightPerCell: PER_CELL },
    windows: { download: [{ cron: "0 */2 * * *", for: "1h" }], apply: [{ cron: "*/30 * * * *", for: "20m" }] },
    penaltyBox: { failures: 3, for: "3h" },
    silentAfter: "1d",
  });
  return compilePolicy(
    spec,
    (id) => ({ id, manufacturer: "Acme", model: "pump", version: IMAGES[id] ?? "", hardware: [], sizeBytes: 1000 }),
    () => 0,
  );
}

/** What was seen so far of one pair of campaigns. */
export class CampaignPromises {
  readonly #attempts = new Map<string, number>();
  readonly #startedAtMs = new Map<string, number[]>();

  /** @param utcMs The time of the step after which it is looked. */
  check({ policy, campaign }: Kept, targets: readonly Target[], utcMs: number): void {
    const { id } = campaign;
    const recounted = policy.waves.map(() => NO_COUNTS);
    const cells = new Map<string, number>();
    const deliveredBytes = policy.waves.map(() => 0);
    for (const target of targets) {
      const counts = recounted[target.wave] ?? NO_COUNTS;
      const place = placeOf(target);
      recounted[target.wave] = countAt({ ...counts, total: counts.total + 1 }, place, 1);
      if (place.phase === "active" && target.cell !== null) cells.set(target.cell, (cells.get(target.cell) ?? 0) + 1);
      deliveredBytes[target.wave] = (deliveredBytes[target.wave] ?? 0) + target.deliveredBytes;
      this.#noteStart(target, utcMs);
    }
    // Of earlier attempts the rows know nothing.
    deliveredBytes.forEach((bytes, i) => {
      assert.ok((campaign.waves[i]?.deliveredBytes ?? 0) >= bytes, `octets of wave ${i} of ${id}`);
    });
    recounted.forEach((counts, i) => {
      const kept = campaign.waves[i]?.counts ?? NO_COUNTS;
      assert.equal(countsText(kept), countsText(counts), `counters of wave ${i} of ${id}`);
    });
    assert.ok(sumCounts(recounted).active <= IN_FLIGHT, "in flight");
    for (const [cell, count] of cells) assert.ok(count <= PER_CELL, `in cell ${cell}`);
    for (const [cell, count] of Object.entries(campaign.cells)) assert.equal(count, cells.get(cell), `cell ${cell}`);
    checkWaves(campaign);
    checkPermits(campaign, targets, utcMs);
  }

  #noteStart({ campaignId, endpoint, attempt }: Target, utcMs: number): void {
    const key = `${campaignId} ${endpoint}`;
    const before = this.#attempts.get(key) ?? 0;
    if (attempt <= before) return;
    assert.equal(attempt, before + 1, "attempts are begun one by one");
    this.#attempts.set(key, attempt);
    const starts = this.#startedAtMs.get(campaignId) ?? [];
    starts.push(utcMs);
    this.#startedAtMs.set(campaignId, starts.slice(-PER_MINUTE - 1));
    const first = starts.at(-PER_MINUTE - 1);
    if (first !== undefined) assert.ok(utcMs - first >= 60_000, `more than ${PER_MINUTE} starts in a minute`);
  }
}

interface Kept {
  readonly policy: CampaignPolicy;
  readonly campaign: Campaign;
}

/** A wave begins only when all before it have passed. */
function checkWaves({ waves }: Campaign): void {
  waves.forEach(({ startedAtMs }, i) => {
    if (startedAtMs === null) return;
    for (const before of waves.slice(0, i)) assert.equal(before.state, "passed");
  });
}

/** Unless a turn is due that sees to it, nobody may apply whose wave or window has closed. */
function checkPermits(campaign: Campaign, targets: readonly Target[], utcMs: number): void {
  if (campaign.wakeAtMs !== null && campaign.wakeAtMs <= utcMs) return;
  const open = openWaves(campaign);
  for (const { endpoint, wave, isApplyPermitted, notBeforeMs, order } of targets) {
    if (!isApplyPermitted || order?.kind === "cancel") continue;
    assert.ok(open.includes(wave), `${endpoint} may apply though wave ${wave} is closed`);
    assert.ok(notBeforeMs === null || notBeforeMs > utcMs, `${endpoint} may apply outside its window`);
  }
}

const countsText = (counts: WaveCounts): string => {
  const failed = FAILURE_KINDS.map((kind) => counts.failed[kind] ?? 0).join();
  return [
    counts.total,
    counts.pending,
    counts.active,
    counts.held,
    counts.succeeded,
    counts.silent,
    counts.fellBack,
    counts.cancelled,
    counts.skipped,
    failed,
  ].join();
};
