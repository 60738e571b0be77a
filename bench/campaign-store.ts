/** What the store carries at a million devices: lists and queries, campaigns created, turns, orders and takeovers. */
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import { CampaignEngine } from "@airlift/server/campaign/engine";
import { compilePolicy } from "@airlift/server/campaign/policy";
import { parseQuery } from "@airlift/server/campaign/query/parse-query";
import { openDatabase } from "@airlift/server/store/database";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { sql } from "kysely";
import type { Figures } from "./report.ts";

const IMAGE = {
  id: "0123456789abcdef",
  manufacturer: "Example",
  model: "Sensor",
  version: "9.0.0",
  hardware: [],
  sizeBytes: 1000,
};
const UTC_MS = Date.UTC(2026, 5, 1);

/** What operators ask: one device, a prefix, a model, versions, tags, a rare combination, a resource. */
const QUERIES = [
  "endpoint==device-0500000",
  "endpoint==device-07*",
  "model==Pump;version==1.7.0",
  "version=lt=1.2.0",
  "tags==canary",
  "tags==canary;model==Pump;cell==cell-13",
  "signal=lt=-100",
  "presence==expired;version!=1.3.0",
];

/** Measures on an embedded PostgreSQL with its real settings (fsync on). Takes some two minutes with a million. */
export async function measureCampaignStore(deviceCount: number): Promise<Figures> {
  const scratch = await openScratchStores({}, []);
  try {
    await scratch.stores.nodes.join();
    await fill(scratch, deviceCount);
    return {
      ...(await measureQueries(scratch)),
      ...(await measureCampaign(scratch, deviceCount)),
    };
  } finally {
    await scratch.close();
  }
}

async function fill({ database }: ScratchStores, deviceCount: number): Promise<void> {
  const { tables, close } = openDatabase(database.url, { statementTimeoutMs: 600_000 });
  await sql`
    insert into devices (endpoint, registration_id, presence, transport, address, lwm2m_version, binding, queue_mode,
      lifetime_s, objects, registered_at, last_seen_at, expires_at, manufacturer, model, version, tags, cell, signal)
    select 'device-' || lpad(n::text, 7, '0'), 'r' || n, case when n % 50 = 0 then 'expired' else 'registered' end,
      'udp', '192.0.2.1:5683', '1.1', 'U', false, 300,
      '{"rootSegments":[],"contentFormats":[],"objects":[{"objectId":5,"version":"1.0","instances":[0]}]}',
      now(), now() - n * interval '1 second', now(), 'Example', (array['Sensor', 'Pump', 'Valve'])[1 + n % 3],
      '1.' || n % 20 || '.0', case when n % 100 = 0 then array['canary'] else '{}' end, 'cell-' || n % 1000, -50 - n % 60
    from generate_series(0, ${deviceCount - 1}::integer) as n`.execute(tables);
  await sql`vacuum analyze devices`.execute(tables);
  await close();
}

async function measureQueries({ stores }: ScratchStores) {
  const timesMs: number[] = [];
  for (let round = 0; round < 25; round += 1)
    for (const text of QUERIES) {
      const startMs = performance.now();
      await stores.inventory.list({ query: parseQuery(text), utcMs: UTC_MS }, { limit: 100 });
      timesMs.push(performance.now() - startMs);
    }
  for (let round = 0; round < 100; round += 1) {
    const after = Buffer.from(`device-0${(round * 7919) % 1000}`).toString("base64url");
    const startMs = performance.now();
    await stores.inventory.list({ utcMs: UTC_MS }, { limit: 100, cursor: after });
    timesMs.push(performance.now() - startMs);
  }
  const sorted = timesMs.toSorted((a, b) => a - b);
  const startMs = performance.now();
  await stores.inventory.count({ query: parseQuery("model==Pump"), utcMs: UTC_MS });
  return {
    listP50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    listP99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    countMs: performance.now() - startMs,
  };
}

async function measureCampaign({ stores: { campaigns }, database }: ScratchStores, deviceCount: number) {
  const { tables, close } = openDatabase(database.url, { statementTimeoutMs: 600_000 });
  // A campaign has devices of one model, and this one has all there are: rewriting the table is quicker than updating its rows.
  await sql`alter table devices alter column model type text using 'Sensor'`.execute(tables);
  await sql`vacuum analyze devices`.execute(tables);
  await close();
  const spec = CampaignSpec.parse({
    name: "bench",
    image: IMAGE.id,
    targets: { query: "endpoint==device-*" },
    waves: [
      { name: "canaries", devices: { query: "tags==canary" } },
      { name: "tenth", devices: { percent: 10 } },
      { name: "rest", devices: "remaining" },
    ],
  });
  const policy = compilePolicy(
    spec,
    () => IMAGE,
    () => undefined,
  );
  const startMs = performance.now();
  const { campaign } = await campaigns.create({ spec, policy, author: { name: "bench" } }, UTC_MS);
  const createMs = performance.now() - startMs;
  const turns = 200;
  const size = Math.min(100, Math.floor(deviceCount / 10 / turns));
  const turnStartMs = performance.now();
  for (let turn = 0; turn < turns; turn += 1)
    await campaigns.transact(campaign.id, async (transaction) => {
      const due = await transaction.due({ waves: [0, 1, 2], phase: "pending", utcMs: UTC_MS, limit: size });
      const targets = due.map(({ target }) => ({
        before: target,
        after: {
          ...target,
          state: "waiting" as const,
          isUnderWay: true,
          attempt: 1,
          order: { kind: "begin" as const, attempt: 1, imageId: IMAGE.id },
          sentence: `turn ${turn}`,
        },
      }));
      const running = { ...transaction.campaign, state: "running" as const };
      const waves = running.waves.map((wave) => ({ ...wave, state: "running" as const }));
      await transaction.save({ campaign: { ...running, waves }, targets, joined: [], outputs: [] });
    });
  const turnsMs = performance.now() - turnStartMs;
  const orderStartMs = performance.now();
  let ordered = 0;
  for (let taken = -1; taken !== 0; ordered += taken) taken = (await campaigns.takeOrders(UTC_MS, 500)).length;
  const ordersMs = performance.now() - orderStartMs;
  const lonely = await measureReports(campaigns, campaign.id);
  return {
    createMs,
    startsPerSecond: (turns * size * 1000) / turnsMs,
    ordersPerSecond: (ordered * 1000) / ordersMs,
    ...lonely,
  };
}

/** Reports of one campaign, one after the other: each its own transaction on the campaign's row. */
async function measureReports(campaigns: ScratchStores["stores"]["campaigns"], campaignId: string) {
  const reports = 300;
  const { items } = await campaigns.targets(campaignId, { state: "waiting" }, { limit: reports });
  const timesMs: number[] = [];
  const startMs = performance.now();
  for (const { endpoint } of items) {
    const ownStartMs = performance.now();
    await campaigns.transact(campaignId, async (transaction) => {
      const candidate = await transaction.candidate(endpoint);
      if (candidate === undefined) return;
      const after = { ...candidate.target, state: "transferring" as const, sentence: "transferring" };
      await transaction.save({
        campaign: transaction.campaign,
        targets: [{ before: candidate.target, after }],
        joined: [],
        outputs: [],
      });
    });
    timesMs.push(performance.now() - ownStartMs);
  }
  const reportsPerSecond = (items.length * 1000) / (performance.now() - startMs);
  return { reportsPerSecond, reportP99Ms: p99(timesMs), ...(await measureCrowd(campaigns, campaignId)) };
}

/** What a device tells on its way to the end. */
const WAY = ["transferring", "downloaded", "waitingToApply", "applying", "confirming", "succeeded"] as const;

/** A hundred devices of one campaign that tell at the same time, each what follows as soon as the last was taken in. */
async function measureCrowd(campaigns: ScratchStores["stores"]["campaigns"], campaignId: string) {
  const engine = new CampaignEngine(campaigns, () => undefined);
  const { items } = await campaigns.targets(campaignId, { state: "waiting" }, { limit: 600 });
  const timesMs: number[] = [];
  const startMs = performance.now();
  const tellAll = async (): Promise<void> => {
    for (let target = items.pop(); target !== undefined; target = items.pop())
      for (const state of WAY) {
        const { endpoint, attempt } = target;
        const ownStartMs = performance.now();
        await engine.report({ campaignId, endpoint }, { attempt, state, failure: null, sentence: state }, UTC_MS);
        timesMs.push(performance.now() - ownStartMs);
      }
  };
  await Promise.all(Array.from({ length: 100 }, tellAll));
  return {
    crowdReportsPerSecond: (timesMs.length * 1000) / (performance.now() - startMs),
    crowdReportP99Ms: p99(timesMs),
  };
}

function p99(timesMs: readonly number[]): number {
  const sorted = timesMs.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}
