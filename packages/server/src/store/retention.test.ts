import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Kysely, sql } from "kysely";
import { type Database, openDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { DEFAULT_RETENTION, Retention } from "./retention.ts";
import { type ScratchDatabase, startScratchDatabase } from "./scratch-database.ts";
import type { Tables } from "./tables.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const DAY_MS = 86_400_000;
const daysAgo = (days: number) => new Date(NOW_MS - days * DAY_MS).toISOString();
const FOR_EVER = {
  eventsMs: null,
  eventCount: null,
  updatesMs: null,
  exchangesMs: null,
  campaignTargetsMs: null,
  requestsMs: null,
};

let scratch: ScratchDatabase;
let database: Database;
let tables: Kysely<Tables>;
before(async () => {
  scratch = await startScratchDatabase();
  database = openDatabase(scratch.url);
  ({ tables } = database);
  await migrate(tables);
  await tables
    .insertInto("images")
    .values({ id: "i", manufacturer: "E", model: "S", version: "1", size_bytes: 1, sha256: "0", format: "raw" })
    .execute();
});
after(async () => {
  await database.close();
  await scratch.stop();
});

async function addUpdate(id: string, endedDaysAgo: number | null, campaignId: string | null = null): Promise<void> {
  await sql`insert into updates (id, endpoint, image_id, by, apply, state, sentence, finished_at, campaign_id, attempt)
    values (${id}, ${`device-${id}`}, 'i', 'auto', true, ${endedDaysAgo === null ? "transferring" : "succeeded"}, '',
      ${endedDaysAgo === null ? null : daysAgo(endedDaysAgo)}, ${campaignId}, 1)`.execute(tables);
  await sql`insert into exchanges (update_id, slot, attempt, number, at, request, answer, took_ms, retransmission_count)
    select ${id}, n, 1, n, now(), '', '', 1, 0 from generate_series(1, 3) n`.execute(tables);
  await addEvent(400, id, campaignId);
}

const addEvent = (days: number, updateId: string | null = null, campaignId: string | null = null) =>
  sql`insert into events (at, kind, update_id, campaign_id, sentence)
    values (${daysAgo(days)}, 'update.note', ${updateId}, ${campaignId}, 'told')`.execute(tables);

async function addCampaign(id: string, state: string, days: number): Promise<void> {
  await sql`insert into campaigns (id, name, state, spec, policy, value, updated_at)
    values (${id}, ${id}, ${state}, '{}', '{}', '{}', ${daysAgo(days)})`.execute(tables);
  await sql`insert into campaign_targets (campaign_id, endpoint, wave, order_key)
    select ${id}, 'd' || n, 0, n from generate_series(1, 25) n`.execute(tables);
}

const idsOf = async (statement: ReturnType<typeof sql>): Promise<unknown[]> =>
  (await statement.execute(tables)).rows.map((row) => Object.values(row as object)[0]);

test("what ended long ago goes in small batches; what goes on keeps all of its records", async () => {
  await addCampaign("open", "running", 500);
  await addCampaign("ended", "stopped", 500);
  await addCampaign("fresh", "finished", 10);
  await addUpdate("old", 500);
  await addUpdate("late", 100);
  await addUpdate("new", 1);
  await addUpdate("runs", null);
  await addUpdate("counted", 500, "open");
  await addUpdate("past", 500, "ended");
  for (let n = 0; n < 50; n += 1) await addEvent(300);
  await addEvent(10);
  const retention = new Retention(tables, DEFAULT_RETENTION, 10);
  const swept = await retention.sweep(NOW_MS);
  assert.deepEqual(await idsOf(sql`select id from updates order by id`), ["counted", "late", "new", "runs"]);
  assert.deepEqual(await idsOf(sql`select distinct update_id from exchanges order by 1`), ["new", "runs"]);
  assert.deepEqual(await idsOf(sql`select distinct campaign_id from campaign_targets order by 1`), ["fresh", "open"]);
  assert.equal((await idsOf(sql`select id from campaigns`)).length, 3, "campaigns keep their own row");
  const left = await idsOf(sql`select coalesce(update_id, campaign_id, 'none') from events order by id`);
  assert.deepEqual(left, ["runs", "counted", "none"], "timelines of what goes on are whole");
  assert.equal(swept.events, 54);
  assert.equal(swept.campaignTargets, 25);
  assert.deepEqual(Object.values(await retention.sweep(NOW_MS)), [0, 0, 0, 0, 0, 0, 0], "nothing is left to do");
});

test("at most so many events are kept, and for ever means for ever", async () => {
  for (let n = 0; n < 30; n += 1) await addEvent(1000);
  assert.equal((await new Retention(tables, FOR_EVER).sweep(NOW_MS)).events, 0);
  await new Retention(tables, { ...FOR_EVER, eventCount: 12 }, 10).sweep(NOW_MS);
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from events where update_id is null and campaign_id is null`.execute(tables);
  assert.equal(rows[0]?.count, 12);
});

test("one server at a time: who finds another at it deletes nothing", async () => {
  await addEvent(1000);
  await tables.transaction().execute(async (other) => {
    await sql`select pg_advisory_xact_lock(7104531890)`.execute(other);
    assert.equal((await new Retention(tables).sweep(NOW_MS)).events, 0);
  });
  assert.ok((await new Retention(tables).sweep(NOW_MS)).events > 0);
});

test("a server that stops leaves the rest for the next time", async () => {
  await addEvent(1000);
  assert.equal((await new Retention(tables).sweep(NOW_MS, () => true)).events, 0);
});
