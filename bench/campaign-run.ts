/** What a server carries that runs campaigns: starts a minute, how soon a threshold acts, a restart in mid-campaign. */
import { Readable } from "node:stream";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import { CampaignEngine } from "@airlift/server/campaign/engine";
import { compilePolicy } from "@airlift/server/campaign/policy";
import { CampaignRunner } from "@airlift/server/links/campaign-runner";
import { openDatabase } from "@airlift/server/store/database";
import { exampleRegistration, openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { sql } from "kysely";
import { pino } from "pino";
import { InstantDelivery } from "./campaign-delivery.ts";
import { startChild } from "./children.ts";
import { type Figures, median } from "./report.ts";

const STARTED_COUNT = 2_000;
const THRESHOLD_ROUNDS = 10;
const RESTART_COUNT = 1_500;
/** What the devices of the restart take for each step, so that hundreds are in the middle of one. */
const STEP_MS = 100;
const DEVICES_AT_ONCE = 1_000;

/** Devices begun, taken through all states and counted by one server, with a database that is asked to be sure. */
export async function measureStarts(): Promise<Figures> {
  const scratch = await openFleet(STARTED_COUNT);
  const { runner } = runnerOf(scratch);
  const campaignId = await createCampaign(scratch, { caps: { inFlight: 500 } });
  const startMs = performance.now();
  await runner.command(campaignId, { command: "start", by: "bench" });
  runner.start();
  await untilState(scratch, campaignId, "finished");
  const elapsedMs = performance.now() - startMs;
  await runner.close();
  await scratch.close();
  return {
    startsPerMinute: (STARTED_COUNT * 60_000) / elapsedMs,
    reportsPerSecond: (STARTED_COUNT * 6_000) / elapsedMs,
  };
}

/** From the report that crosses a threshold until the campaign stands and the last update that it begins is begun. */
export async function measureThreshold(): Promise<Figures> {
  const scratch = await openFleet(600);
  const times: { pausedMs: number; lastStartMs: number }[] = [];
  for (let round = 0; round < THRESHOLD_ROUNDS; round += 1) times.push(await crossThreshold(scratch));
  await scratch.close();
  const reactionsMs = times.map(({ pausedMs, lastStartMs }) => Math.max(pausedMs, lastStartMs));
  return {
    reactionMs: median(reactionsMs),
    slowestReactionMs: Math.max(...reactionsMs),
    pausedMs: median(times.map(({ pausedMs }) => pausedMs)),
    lastStartMs: median(times.map(({ lastStartMs }) => lastStartMs)),
  };
}

const FAILURES = 20;

async function crossThreshold(scratch: ScratchStores): Promise<{ pausedMs: number; lastStartMs: number }> {
  const { stores } = scratch;
  let failedCount = 0;
  let crossedAtMs = 0;
  let pausedAtMs = 0;
  let lastStartAtMs = 0;
  const create: typeof stores.updates.create = async (order) => {
    const update = await stores.updates.create(order);
    lastStartAtMs = performance.now();
    return update;
  };
  const updates = new Proxy(stores.updates, {
    get: (target, name) => {
      if (name === "create") return create;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const { runner } = runnerOf(
    { ...scratch, stores: { ...stores, updates } },
    (endpoint) => Number(endpoint.slice(7)) % 5 === 0,
    {
      onFailed: () => {
        failedCount += 1;
        if (failedCount === FAILURES) crossedAtMs = performance.now();
      },
    },
  );
  const campaignId = await createCampaign(scratch, {
    caps: { inFlight: 100 },
    retry: {},
    // The same devices fail in each round.
    penaltyBox: { failures: 100, for: "1d" },
    criteria: [{ outcomes: ["failed"], threshold: { count: FAILURES }, do: "pauseCampaign" }],
  });
  const stopListening = stores.events.subscribe(({ campaignId: of, kind, facts }) => {
    if (of === campaignId && kind === "campaign.transition" && facts["state"] === "paused")
      pausedAtMs ||= performance.now();
  });
  await runner.command(campaignId, { command: "start", by: "bench" });
  runner.start();
  await untilState(scratch, campaignId, "paused");
  await runner.settle();
  await runner.command(campaignId, { command: "stop", by: "bench" });
  await untilIdle(scratch, campaignId);
  stopListening();
  await runner.close();
  return { pausedMs: pausedAtMs - crossedAtMs, lastStartMs: Math.max(0, lastStartAtMs - crossedAtMs) };
}

/** A server is killed with hundreds of devices in the middle of their updates; how soon another process goes on, and what it came to. */
export async function measureRestart(): Promise<Figures> {
  const scratch = await openFleet(RESTART_COUNT);
  const campaignId = await createCampaign(scratch, { caps: { inFlight: 500 } });
  const engine = new CampaignEngine(scratch.stores.campaigns, () => undefined);
  await engine.command(campaignId, { command: "start", by: "bench" }, Date.now());
  await scratch.stores.nodes.leave();
  const args = [scratch.database.url, scratch.folder, `${STEP_MS}`];
  const first = startChild("campaign-server.ts", args);
  await first.next();
  while ((await countsOf(scratch, campaignId)).succeeded < RESTART_COUNT / 4)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const { active, held } = await countsOf(scratch, campaignId);
  first.kill();
  await first.ended;
  const startMs = performance.now();
  const second = startChild("campaign-server.ts", args);
  await second.next();
  const restartMs = performance.now() - startMs;
  await untilState(scratch, campaignId, "finished");
  const finished = await countsOf(scratch, campaignId);
  second.kill();
  await second.ended;
  const twiceCount = await startedTwice(scratch);
  await scratch.close();
  return { restartMs, underWayCount: active + held, lostCount: RESTART_COUNT - finished.succeeded, twiceCount };
}

async function openFleet(count: number): Promise<ScratchStores> {
  const scratch = await openScratchStores({ node: { name: "bench" } }, []);
  const { devices, nodes } = scratch.stores;
  await nodes.join();
  for (let first = 0; first < count; first += DEVICES_AT_ONCE) {
    const names = Array.from({ length: Math.min(DEVICES_AT_ONCE, count - first) }, (_, i) => `device-${first + i}`);
    devices.queueSave(names.map((name) => exampleRegistration(name)));
    await devices.flush();
  }
  return scratch;
}

function runnerOf(
  { stores }: Pick<ScratchStores, "stores">,
  fails: (endpoint: string) => boolean = () => false,
  { onFailed = () => {} }: { readonly onFailed?: () => void } = {},
) {
  const delivery = new InstantDelivery({
    updates: stores.updates,
    fails,
    onTransition: (update) => {
      if (update.state === "failed") onFailed();
      runner.onTransition(update);
    },
  });
  const runner = new CampaignRunner({ stores, delivery, log: pino({ level: "warn" }) });
  return { runner, delivery };
}

/** Over all devices, ready to start. */
async function createCampaign({ stores }: ScratchStores, more: Partial<NewCampaign>): Promise<string> {
  const name = { manufacturer: "Example", model: "Sensor", version: "2.0.0", hardware: [] };
  const { image } = await stores.images.add(Readable.from([new Uint8Array(1000)]), name);
  const spec = CampaignSpec.parse({ name: "bench", image: image.id, targets: { query: "endpoint==*" }, ...more });
  const policy = compilePolicy(
    spec,
    () => image,
    () => undefined,
  );
  const { campaign } = await stores.campaigns.create({ spec, policy, author: { name: "bench" } }, Date.now());
  const engine = new CampaignEngine(stores.campaigns, () => undefined);
  await engine.command(campaign.id, { command: "submit", by: "bench" }, Date.now());
  return campaign.id;
}

async function countsOf({ stores }: ScratchStores, campaignId: string) {
  const kept = await stores.campaigns.get(campaignId);
  const [wave] = kept?.campaign.waves ?? [];
  if (wave === undefined) throw new Error("the campaign is gone");
  return wave.counts;
}

async function untilState({ stores }: ScratchStores, campaignId: string, state: string): Promise<void> {
  while ((await stores.campaigns.get(campaignId))?.campaign.state !== state)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

async function untilIdle(scratch: ScratchStores, campaignId: string): Promise<void> {
  for (let isBusy = true; isBusy; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const { active, held } = await countsOf(scratch, campaignId);
    isBusy = active + held > 0;
  }
}

/** Attempts that were told to fetch the image more than once. */
async function startedTwice({ database }: ScratchStores): Promise<number> {
  const { tables, close } = openDatabase(database.url);
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (
      select update_id from events where kind = 'update.transition' and facts ->> 'state' = 'transferring'
      group by update_id having count(*) > 1) as twice`.execute(tables);
  await close();
  return rows[0]?.count ?? 0;
}
