/** The database vanishes for a minute in mid-campaign, as in a crash: two servers and their devices go on without it, and then with it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Campaign } from "@airlift/protocol/api/campaign";
import { CampaignStage } from "./campaign-stage.ts";
import { type Stage, until } from "./stage.ts";

const OUTAGE_MS = 60_000;
const AT_EACH = 15;

let stage: CampaignStage;

before(async () => {
  // What was committed has to be on the disk when it crashes.
  stage = await CampaignStage.open([]);
  const common = ["--lifetime", "60", "--slow-share", "0.3", "--loss", "0.02"];
  stage.a.startFleet(AT_EACH, "--endpoint", "near", "--seed", "21", ...common);
  stage.b.startFleet(AT_EACH, "--endpoint", "far", "--seed", "22", ...common);
  await until(
    "all devices are registered",
    async () => (await stage.devices()).filter(({ version }) => version !== null).length === 2 * AT_EACH,
  );
});
after(() => stage.close());

const logOf = ({ folder }: Stage): string[] => readFileSync(join(folder, "server.log"), "utf8").trim().split("\n");

/** What a monitor and an operator see of a server without its database. */
async function checkTold(server: Stage): Promise<void> {
  const ready = await fetch(`${server.url}/readyz`);
  const { code, detail } = (await ready.json()) as { code: string; detail: string };
  assert.deepEqual([ready.status, code], [503, "DATABASE_AWAY"]);
  assert.ok(!detail.includes("\n") && detail.includes("database"), detail);
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  const list = server.client.call("campaigns", { safeParse: () => assert.fail("it answered") });
  await assert.rejects(list, { message: /^the database does not answer[^\n]*$/ });
}

test("a minute without a database costs a minute: nothing is lost, nothing begins twice, and each server says it once", async () => {
  const image = await stage.addImage("2.0.0", 150_000);
  const { id } = await stage.create({
    name: "spring",
    image: image.id,
    targets: { query: "model==virtual" },
    caps: { inFlight: 10 },
    retry: {},
  });
  await stage.tell(id, "submit");
  await stage.tell(id, "start");
  await until("it is in the middle", async () => (await stage.campaign(id)).counts.succeeded >= 4);
  const before = await stage.campaign(id);
  assert.ok(before.counts.active > 0 && before.counts.pending > 0, "it is in the middle");

  await stage.database.pause("crash");
  const awayAtMs = performance.now();
  await sleep(5_000);
  for (const server of [stage.a, stage.b]) await checkTold(server);
  await sleep(OUTAGE_MS - (performance.now() - awayAtMs));
  for (const server of [stage.a, stage.b]) await checkTold(server);
  await stage.database.resume();

  const finished = await stage.untilState(id, "finished", "paused", "aborted");
  assert.equal(finished.state, "finished", finished.sentence);
  await checkTruth(finished);
  for (const server of [stage.a, stage.b]) {
    const lines = logOf(server).filter((line) => line.startsWith("{"));
    const told = lines.filter((line) => /the database (cannot be reached|answers again)/.test(line));
    assert.equal(told.length, 2, told.join("\n"));
    const others = lines.filter((line) => !told.includes(line) && !line.includes("made the key"));
    assert.deepEqual(others, [], "and what else was out of order");
  }
});

async function checkTruth({ id, counts }: Campaign): Promise<void> {
  assert.equal(counts.succeeded, 2 * AT_EACH);
  const updates = (await stage.updates()).filter(({ campaignId }) => campaignId === id);
  assert.equal(updates.length, 2 * AT_EACH, "each device has one update");
  for (const { version, presence, endpoint } of await stage.devices())
    assert.deepEqual([version, presence], ["2.0.0", "registered"], endpoint);
  for (const target of await stage.targets(id)) {
    assert.deepEqual([target.state, target.attempt], ["succeeded", 1], target.endpoint);
    const timeline = await stage.a.client.timeline(target.endpoint, 200);
    const registeredAt = timeline.flatMap(({ kind, at }) => (kind === "device.registered" ? [at] : []));
    assert.ok(registeredAt.length >= 2, `${target.endpoint} came, and came again when it had restarted`);
    assert.equal(new Set(registeredAt).size, registeredAt.length, `${target.endpoint}: each time is told once`);
    const events = timeline.filter(({ campaignId }) => campaignId === id).toSorted((one, other) => one.id - other.id);
    assert.equal(events.at(-1)?.sentence, target.sentence, target.endpoint);
    const of = (event: string) =>
      events.filter(({ kind, facts }) => kind === "update.transition" && facts["event"] === event);
    assert.equal(of("confirmed").length, 1, target.endpoint);
    assert.equal(of("ready").length, 1, `${target.endpoint} was told once to fetch, or pushed to once`);
  }
}
