/** Campaigns over a fleet of real device processes and two servers: one that stops by itself and is told to go on, one that rolls back. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Campaign, NewCampaign } from "@airlift/protocol/api/campaign";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { CampaignStage } from "./campaign-stage.ts";
import { until } from "./stage.ts";

/** How many devices there are at each door; AIRLIFT_JOURNEY_DEVICES changes their sum. */
const COUNT = Number(process.env["AIRLIFT_JOURNEY_DEVICES"] ?? 500);
const AT_B = Math.round(COUNT * 0.3);
const SECURE = Math.round(COUNT * 0.1);
const AT_A = COUNT - AT_B - SECURE;

let stage: CampaignStage;

before(async () => {
  stage = await CampaignStage.open();
  const common = ["--fail-share", "0.08", "--lifetime", "60"];
  stage.a.startFleet(AT_A, "--endpoint", "udp", "--seed", "11", ...common);
  stage.b.startFleet(AT_B, "--endpoint", "far", "--seed", "12", ...common);
  await stage.startSecureFleet(SECURE, "dtls", "--seed", "13", ...common);
  await until(
    `${COUNT} devices are registered`,
    async () => (await stage.devices()).filter(({ version }) => version !== null).length === COUNT,
    3,
  );
});
after(() => stage.close());

const spec = (name: string, image: string, more: Partial<NewCampaign> = {}): NewCampaign => ({
  name,
  image,
  targets: { query: "model==virtual" },
  waves: [
    { name: "canary", devices: { percent: 10 } },
    { name: "early", devices: { percent: 30 } },
    { name: "all", devices: "remaining" },
  ],
  caps: { inFlight: 200 },
  retry: {},
  ...more,
});

/** How an update may end: well, or by one of the faults of the simulation. */
const SIMULATED: ReadonlySet<string> = new Set(["succeeded", "integrityFailed", "updateFailed", "fellBack"]);

/** Every device of the campaign has ended, once, and its timeline ends in what is so. */
async function checkTruth({ id, counts }: Campaign, version: string): Promise<void> {
  const targets = await stage.targets(id);
  const updates = (await stage.updates()).filter(({ campaignId }) => campaignId === id);
  const devices = new Map((await stage.devices()).map((device) => [device.endpoint, device]));
  assert.equal(targets.length, counts.total);
  assert.equal(new Set(updates.map(({ endpoint, attempt }) => `${endpoint} ${attempt}`)).size, updates.length);
  for (const target of targets) {
    const { endpoint, state, failure, attempt, sentence } = target;
    assert.ok(isFinalUpdateState(state), `${endpoint} is ${state}: ${sentence}`);
    assert.ok(SIMULATED.has(failure ?? state), `${endpoint} is ${state}, ${failure}: ${sentence}`);
    assert.equal(updates.filter((update) => update.endpoint === endpoint).length, attempt, endpoint);
    const told = devices.get(endpoint)?.version;
    assert.equal(told === version, state === "succeeded", `${endpoint} is ${state}, runs ${told}: ${sentence}`);
  }
}

/** The last word on a device's timeline about its update is its target's sentence. */
async function checkTimelines(id: string, endpoints: readonly string[]): Promise<void> {
  const targets = new Map((await stage.targets(id)).map((target) => [target.endpoint, target]));
  for (const endpoint of endpoints) {
    const events = await stage.a.client.timeline(endpoint, 200);
    const last = events
      .filter(({ campaignId }) => campaignId === id)
      .toSorted((one, other) => other.id - one.id)
      .at(0);
    assert.equal(last?.sentence, targets.get(endpoint)?.sentence, endpoint);
    const begun = events.filter(({ facts, campaignId }) => campaignId === id && facts["event"] === "transferAccepted");
    assert.ok(begun.length <= 1, `${endpoint} was told to fetch ${begun.length} times`);
  }
}

test("a campaign pauses itself, goes on when it is told to, loses a server, and ends with a true word about each device", async () => {
  const image = await stage.addImage("2.0.0");
  const { id } = await stage.create(
    spec("spring", image.id, {
      approval: "required",
      criteria: [
        { outcomes: ["failed", "fellBack"], threshold: { percent: 4 }, minimumExecuted: 20, do: "pauseCampaign" },
      ],
    }),
  );
  assert.equal((await stage.tell(id, "submit")).state, "awaitingApproval");
  assert.equal((await stage.tell(id, "approve")).state, "ready");
  await stage.tell(id, "start");
  const paused = await stage.untilState(id, "paused");
  assert.match(paused.sentence, /paused|%/);
  assert.ok(paused.counts.pending > 0, "it was stopped before all had begun");
  await stage.tell(id, "resume");
  await until("a third has been updated", async () => (await stage.campaign(id)).counts.succeeded > COUNT / 3, 3).catch(
    () => undefined,
  );
  await stage.b.killServer();
  await until("the server that is left has taken over", async () => {
    const devices = await stage.devices();
    return new Set(devices.map(({ node }) => node)).size === 1;
  });
  await stage.b.startServer();
  await until(
    "it is finished",
    async () => {
      const { state } = await stage.campaign(id);
      if (state === "paused") await stage.tell(id, "resume");
      return state === "finished";
    },
    6,
  );
  const finished = await stage.campaign(id);
  await checkTruth(finished, "2.0.0");
  await checkTimelines(id, ["udp-1", "udp-2", "far-1", "far-2", "far-3", "dtls-1"]);
});

test("a campaign that goes wrong is aborted by its criterion, and undone", async () => {
  const [old, bad] = [(await stage.updates())[0]?.imageId, await stage.addImage("3.0.0")];
  assert.ok(old);
  const { id, rollbackId } = await stage.create(
    spec("summer", bad.id, {
      targets: { query: "version==2.0.0" },
      criteria: [
        {
          outcomes: ["failed", "fellBack"],
          threshold: { count: Math.max(2, Math.round(COUNT / 50)) },
          do: "startRollback",
        },
      ],
      rollback: { image: old },
      approval: "required",
    }),
  );
  assert.ok(rollbackId);
  await stage.tell(id, "submit");
  await stage.tell(id, "approve");
  await stage.tell(id, "start");
  const aborted = await stage.untilState(id, "aborted", "finished");
  assert.equal(aborted.state, "aborted", aborted.sentence);
  assert.ok(aborted.counts.succeeded > 0 && aborted.counts.succeeded < aborted.counts.total);
  await stage.untilState(rollbackId, "finished");
  const undone = await stage.targets(rollbackId);
  assert.equal(undone.length, (await stage.campaign(id)).counts.succeeded);
  await checkTruth(await stage.campaign(rollbackId), "2.0.0");
});
