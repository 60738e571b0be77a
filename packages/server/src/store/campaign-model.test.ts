/** Campaigns keep their promises, whatever comes: with the store in memory through 100,000 steps, with PostgreSQL through fewer unless more are asked for. */
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { seeded } from "../../../sim/src/world.ts";
import { MemoryCampaignStore } from "../campaign/memory-store.ts";
import { postgresModel } from "./campaign-model-postgres.ts";
import type { ModelStore } from "./campaign-model-store.ts";
import { ROUND_STEPS, walkCampaigns } from "./campaign-model-world.ts";
import { openDatabase } from "./database.ts";
import { type ScratchDatabase, startScratchDatabase } from "./scratch-database.ts";
import { inspectNothing } from "./scratch-stores.ts";
import { openStores } from "./stores.ts";

/** `CAMPAIGN_STEPS=1000000` and `CAMPAIGN_STORE_STEPS=100000` for long runs, `CAMPAIGN_SEED` to repeat one. */
const STEP_COUNT = Number(process.env["CAMPAIGN_STEPS"] ?? 100_000);
const STORE_STEP_COUNT = Number(process.env["CAMPAIGN_STORE_STEPS"] ?? 6000);
const SEED = Number(process.env["CAMPAIGN_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** Walks at a time, each with a database of its own: a step waits for the database more than it computes. */
const WALK_COUNT = 4;

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

/** Walks through `stepCount` steps on a database of its own. */
async function walkOverPostgres(scratch: ScratchDatabase, name: string, stepCount: number): Promise<void> {
  const databaseUrl = scratch.url.replace("/postgres?", `/${name}?`);
  const dataDir = join(scratch.folder, name);
  const stores = await openStores({
    dataDir,
    databaseUrl,
    maxImageBytes: 1,
    inspect: inspectNothing,
    node: { name: "a" },
  });
  const database = openDatabase(databaseUrl);
  try {
    await walkCampaigns(postgresModel(stores.campaigns, database.tables), seeded(seedOf(name)), stepCount);
  } finally {
    await database.close();
    await stores.close();
  }
}

const seedOf = (name: string): number => SEED + Number(name.replace("walk_", ""));

async function createDatabases(scratch: ScratchDatabase, names: readonly string[]): Promise<void> {
  const { tables, close } = openDatabase(scratch.url);
  for (const name of names) await sql`create database ${sql.id(name)}`.execute(tables);
  await close();
}

/** Rounds dealt out over the walks: a run of one round is one walk. */
function shares(stepCount: number): number[] {
  const roundCount = Math.ceil(stepCount / ROUND_STEPS);
  const walkCount = Math.min(WALK_COUNT, roundCount);
  return Array.from({ length: walkCount }, (_, i) => {
    const rounds = Math.floor(roundCount / walkCount) + Number(i < roundCount % walkCount);
    return i === 0 ? stepCount - ROUND_STEPS * (roundCount - rounds) : rounds * ROUND_STEPS;
  });
}

test(`campaigns keep their promises through ${STEP_COUNT} random steps`, async (context) => {
  context.diagnostic(`CAMPAIGN_SEED=${SEED}`);
  await walkCampaigns(memoryModel(), seeded(SEED), STEP_COUNT);
});

test(`campaigns keep them over PostgreSQL through ${STORE_STEP_COUNT} random steps`, async (context: TestContext) => {
  context.diagnostic(`CAMPAIGN_SEED=${SEED}`);
  const scratch = await startScratchDatabase();
  context.after(() => scratch.stop());
  const walks = shares(STORE_STEP_COUNT).map((stepCount, i) => ({ name: `walk_${i}`, stepCount }));
  await createDatabases(
    scratch,
    walks.map(({ name }) => name),
  );
  const ends = await Promise.allSettled(walks.map(({ name, stepCount }) => walkOverPostgres(scratch, name, stepCount)));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
});
