import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sql } from "kysely";
import pg from "pg";
import { type Database, openDatabase } from "./database.ts";
import { PostgresDeviceStore } from "./device-store.ts";
import { Journal } from "./journal.ts";
import { MIGRATIONS, migrate } from "./migrate.ts";
import { type ScratchDatabase, startScratchDatabase } from "./scratch-database.ts";
import { PostgresUpdateStore } from "./update-store.ts";

/** Rows as a server of that version left them; those of each version are there when the next one comes. */
const SAMPLES: Readonly<Record<number, string>> = {
  1: `
    insert into images (id, manufacturer, model, version, size_bytes, sha256, format)
      values ('0123456789abcdef', 'Example', 'Sensor', '1.0.0', 10, repeat('0', 64), 'raw');
    insert into devices (endpoint, registration_id, presence, transport, address, lwm2m_version, binding, queue_mode,
        lifetime_s, objects, registered_at, last_seen_at, expires_at)
      select 'old-' || n, 'r' || n, 'registered', 'udp', '127.0.0.1:1', '1.1', 'U', false, 300,
        '{"rootSegments":[],"contentFormats":[],"objects":[]}', now(), now(), now() from generate_series(1, 3) n;
    insert into updates (id, endpoint, image_id, by, apply, state, sentence)
      values ('u1', 'old-1', '0123456789abcdef', 'auto', true, 'queued', 'queued');
    insert into events (kind, endpoint, update_id, sentence) values ('update.transition', 'old-1', 'u1', 'queued');`,
  17: `
    insert into campaigns (id, name, state, spec, policy, value)
      values ('c1', 'spring', 'running', '{}', '{}', '{"waves":[{"state":"running"},{"state":"waiting"}]}');
    insert into campaign_targets (campaign_id, endpoint, wave, order_key, attempt) values ('c1', 'old-2', 0, 1, 2);
    insert into updates (id, endpoint, image_id, by, apply, state, sentence, campaign_id, attempt,
        acknowledged_bytes, finished_at)
      select 'u' || n + 1, 'old-2', '0123456789abcdef', 'auto', false, 'failed', 'failed', 'c1', n, 35 * n, now()
      from generate_series(1, 2) n;
    insert into campaigns (id, name, state, spec, policy, value) values ('c2', 'spring', 'running', '{}', '{}',
      '{"id": "c2", "forgiven": {"succeeded": 2, "silent": 9, "failed": {"noFlash": 4}}, "waves": [
        {"state": "passed", "counts": {"succeeded": 3, "silent": 1, "failed": {"noFlash": 1}},
          "forgiven": {"succeeded": 3, "silent": 2, "failed": {"noFlash": 2}}},
        {"state": "running", "counts": {"succeeded": 1, "silent": 0, "failed": {"noFlash": 1}},
          "forgiven": {"succeeded": 0, "silent": 0, "failed": {"noFlash": -1, "updateFailed": 3}}}]}');`,
};

/** No more than is counted, and no less than nothing. */
const HEALED = {
  id: "c2",
  forgiven: { succeeded: 2, silent: 1, failed: { noFlash: 2 } },
  waves: [
    {
      state: "passed",
      counts: { succeeded: 3, silent: 1, failed: { noFlash: 1 } },
      forgiven: { succeeded: 3, silent: 1, failed: { noFlash: 1 } },
      deliveredBytes: 0,
    },
    {
      state: "running",
      counts: { succeeded: 1, silent: 0, failed: { noFlash: 1 } },
      forgiven: { succeeded: 0, silent: 0, failed: { noFlash: 0, updateFailed: 0 } },
      deliveredBytes: 0,
    },
  ],
};

let scratch: ScratchDatabase;
before(async () => {
  scratch = await startScratchDatabase();
});
after(() => scratch.stop());

/** A database of its own on the scratch server. */
async function createDatabase(name: string): Promise<Database> {
  const owner = new pg.Client({ connectionString: scratch.url });
  await owner.connect();
  await owner.query(`create database ${name}`);
  await owner.end();
  return openDatabase(scratch.url.replace("/postgres?", `/${name}?`));
}

async function columnsOf({ tables }: Database): Promise<string[]> {
  const { rows } = await sql<{ text: string }>`
    select concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) as text
    from information_schema.columns where table_schema = 'public' order by 1`.execute(tables);
  const indexes = await sql<{ text: string }>`
    select indexdef as text from pg_indexes where schemaname = 'public' order by 1`.execute(tables);
  return [...rows, ...indexes.rows].map(({ text }) => text);
}

describe("migrations", () => {
  for (let version = 0; version <= MIGRATIONS.length; version += 1)
    test(`a database of version ${version} becomes the newest, with the same tables and all of its rows`, async (t) => {
      const fresh = await createDatabase(`fresh_${version}`);
      const old = await createDatabase(`old_${version}`);
      t.after(async () => {
        await fresh.close();
        await old.close();
      });
      await migrate(fresh.tables);
      for (let step = 1; step <= version; step += 1) {
        await migrate(old.tables, MIGRATIONS.slice(0, step));
        await sql.raw(SAMPLES[step] ?? "select 1").execute(old.tables);
      }
      assert.equal(await migrate(old.tables), MIGRATIONS.length - version);
      assert.equal(await migrate(old.tables), 0);
      assert.deepEqual(await columnsOf(old), await columnsOf(fresh));
      if (version === 0) return;
      const campaigns = await old.tables.selectFrom("campaigns").select("value").where("id", "=", "c2").execute();
      assert.deepEqual(
        campaigns.map(({ value }) => value),
        version < 17 ? [] : [HEALED],
      );
      const devices = new PostgresDeviceStore(old.tables, "node");
      assert.equal((await devices.loadRegistrations()).length, 3);
      const journal = new Journal(old.tables);
      const updates = new PostgresUpdateStore({ tables: old.tables, journal, nodeId: "node" });
      const [unfinished] = await updates.unfinished();
      assert.equal(unfinished?.update.id, "u1");
      await updates.transition("u1", { state: "cancelled", sentence: "cancelled" });
      assert.equal((await old.tables.selectFrom("events").selectAll().execute()).length, 2);
      if (version < 17) return;
      const { value } = await old.tables
        .selectFrom("campaigns")
        .select("value")
        .where("id", "=", "c1")
        .executeTakeFirstOrThrow();
      assert.deepEqual(
        value.waves.map(({ state, deliveredBytes }) => [state, deliveredBytes]),
        [
          ["running", 105],
          ["waiting", 0],
        ],
      );
      const target = await old.tables.selectFrom("campaign_targets").selectAll().executeTakeFirstOrThrow();
      assert.equal(target.delivered_bytes, 70);
    });

  test("a migration takes as long as it needs, and no statement after it does", async (t) => {
    await (await createDatabase("slow")).close();
    const url = scratch.url.replace("/postgres?", "/slow?");
    const database = openDatabase(url, { statementTimeoutMs: 200, connectionCount: 1 });
    t.after(() => database.close());
    assert.equal(await migrate(database.tables, [{ name: "slow", sql: "select pg_sleep(0.5)" }]), 1);
    await assert.rejects(sql`select pg_sleep(0.5)`.execute(database.tables), { code: "DATABASE_AWAY" });
  });

  test("a database of a newer program is refused", async (t) => {
    const database = await createDatabase("newer");
    t.after(() => database.close());
    await migrate(database.tables);
    await assert.rejects(migrate(database.tables, MIGRATIONS.slice(1)), { code: "DATABASE_NEWER" });
  });

  test("two programs that start at once migrate once; a statement that fails leaves no trace", async (t) => {
    const database = await createDatabase("two");
    t.after(() => database.close());
    const counts = await Promise.all([migrate(database.tables), migrate(database.tables)]);
    assert.deepEqual(counts.toSorted(), [0, MIGRATIONS.length]);
    const broken = [...MIGRATIONS, { name: "broken", sql: "create table half (n int); select 1 / 0;" }];
    await assert.rejects(migrate(database.tables, broken), { code: "MIGRATION" });
    assert.equal(await migrate(database.tables), 0);
    const { rows } = await sql`select from pg_tables where tablename = 'half'`.execute(database.tables);
    assert.equal(rows.length, 0);
  });
});
