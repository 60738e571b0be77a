/** Campaigns keep their promises, whatever comes: with the store in memory through 100,000 steps, with PostgreSQL through fewer. */
import { test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import { sql } from "kysely";
import { seeded } from "../../../sim/src/world.ts";
import type { Candidate } from "../campaign/device.ts";
import { MemoryCampaignStore } from "../campaign/memory-store.ts";
import type { ModelStore } from "./campaign-model-store.ts";
import { walkCampaigns } from "./campaign-model-world.ts";
import { insertCampaign } from "./campaign-rows.ts";
import { type Database, openDatabase } from "./database.ts";
import { openScratchStores, type ScratchStores } from "./scratch-stores.ts";
import { writeTargets } from "./target-rows.ts";

/** `CAMPAIGN_STEPS=1000000` and `CAMPAIGN_STORE_STEPS=100000` for long runs, `CAMPAIGN_SEED` to repeat one. */
const STEP_COUNT = Number(process.env["CAMPAIGN_STEPS"] ?? 100_000);
const STORE_STEP_COUNT = Number(process.env["CAMPAIGN_STORE_STEPS"] ?? 300);
const SEED = Number(process.env["CAMPAIGN_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

function memoryModel(): ModelStore {
  let store = new MemoryCampaignStore();
  return {
    get store() {
      return store;
    },
    clear: async () => {
      store = new MemoryCampaignStore();
    },
    add: async (campaign, policy, targets) => store.add(campaign, policy, targets),
    setDevice: async (device) => store.setDevice(device),
    setHistory: async (endpoint, history) => store.setHistory(endpoint, history),
    campaign: async (id) => store.campaign(id),
    targets: async (id) => store.targets(id),
    endLeases: async () => {},
  };
}

const SPEC = CampaignSpec.parse({ name: "model", image: "00000000000000aa", targets: { query: "endpoint==*" } });

function postgresModel({ stores: { campaigns } }: ScratchStores, { tables }: Database): ModelStore {
  const kept = async (id: string) => {
    const found = await campaigns.get(id);
    if (found === undefined) throw new Error(`campaign ${id} is gone`);
    return found;
  };
  return {
    store: campaigns,
    clear: async () => void (await sql`truncate campaign_targets, campaigns, devices, events`.execute(tables)),
    add: async (campaign, policy, targets) => {
      await insertCampaign(tables, { campaign, spec: SPEC, policy, rollbackOf: null });
      await writeTargets(tables, targets);
    },
    setDevice: (device) => saveDevice(tables, device),
    setHistory: async (endpoint, { failuresInRow, lastFailureAtMs, leftVersions }) => {
      const failedAt = lastFailureAtMs === null ? null : new Date(lastFailureAtMs).toISOString();
      await sql`update devices set failure_count = ${failuresInRow}, last_failure_at = ${failedAt}::timestamptz,
        left_versions = ${leftVersions}::text[] where endpoint = ${endpoint}`.execute(tables);
    },
    campaign: async (id) => (await kept(id)).campaign,
    targets: async (id) => (await campaigns.targets(id, {}, { limit: 1000 })).items,
    endLeases: async () => {
      await sql`update campaign_targets set order_until = null where order_until is not null`.execute(tables);
      await sql`update campaigns set taken_until = null where taken_until is not null`.execute(tables);
    },
  };
}

async function saveDevice(tables: Database["tables"], device: Candidate["device"]): Promise<void> {
  const { endpoint, presence, manufacturer, model, version, cell, utcOffset } = device;
  const seenAt = new Date(device.lastSeenAtMs ?? 0).toISOString();
  await sql`
    insert into devices (endpoint, registration_id, presence, transport, address, lwm2m_version, binding, queue_mode,
      lifetime_s, objects, registered_at, last_seen_at, expires_at, manufacturer, model, version, cell, utc_offset)
    values (${endpoint}, 'r', ${presence}, 'udp', '192.0.2.1:5683', '1.1', 'U', false, 300, '{}', ${seenAt}::timestamptz,
      ${seenAt}::timestamptz, ${seenAt}::timestamptz, ${manufacturer}, ${model}, ${version}, ${cell}, ${utcOffset})
    on conflict (endpoint) do update set presence = excluded.presence, last_seen_at = excluded.last_seen_at,
      model = excluded.model, version = excluded.version, cell = excluded.cell, utc_offset = excluded.utc_offset`.execute(
    tables,
  );
}

test(`campaigns keep their promises through ${STEP_COUNT} random steps`, async (context) => {
  context.diagnostic(`CAMPAIGN_SEED=${SEED}`);
  await walkCampaigns(memoryModel(), seeded(SEED), STEP_COUNT);
});

test(`campaigns keep them over PostgreSQL through ${STORE_STEP_COUNT} random steps`, async (context) => {
  context.diagnostic(`CAMPAIGN_SEED=${SEED}`);
  const scratch = await openScratchStores({ node: { name: "a" } });
  const database = openDatabase(scratch.database.url);
  context.after(async () => {
    await database.close();
    await scratch.close();
  });
  await walkCampaigns(postgresModel(scratch, database), seeded(SEED), STORE_STEP_COUNT);
});
