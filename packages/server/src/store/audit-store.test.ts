import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sql } from "kysely";
import { AuditStore } from "./audit-store.ts";
import { type Database, openDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { type ScratchDatabase, startScratchDatabase } from "./scratch-database.ts";

let scratch: ScratchDatabase;
let database: Database;
before(async () => {
  scratch = await startScratchDatabase();
  database = openDatabase(scratch.url);
  await migrate(database.tables);
});
after(async () => {
  await database.close();
  await scratch.stop();
});

const entry = (action: string) => ({
  at: "2026-06-01T12:00:00.000Z",
  who: "ann",
  role: "operator",
  person: "token a1",
  peer: "192.0.2.7",
  action,
  outcome: 200,
});

test("two servers write one chain; a line that is changed, dropped or slipped in is found", async () => {
  const stores = [new AuditStore(database.tables), new AuditStore(database.tables)] as const;
  for (let n = 0; n < 500; n += 1) for (const store of stores) assert.ok(store.queue(entry(`POST /${n}\0`)));
  await Promise.all(stores.map((store) => store.close()));
  const [store] = stores;
  const whole = await store.verify();
  assert.deepEqual([whole.isWhole, whole.count], [true, 1000]);
  const { items } = await store.list({ limit: 2 });
  assert.deepEqual(
    items.map(({ id, action }) => [id, action]),
    [
      [1000, "POST /499"],
      [999, items[1]?.action],
    ],
  );
  const spoil = async (statement: string, brokenAtId: number) => {
    await database.tables
      .transaction()
      .execute(async (transaction) => {
        await sql.raw(statement).execute(transaction);
        assert.deepEqual(await new AuditStore(transaction).verify(), {
          isWhole: false,
          firstId: 1,
          count: brokenAtId - 1,
          brokenAtId,
        });
        throw new Error("undo");
      })
      .catch((error) => assert.equal((error as Error).message, "undo"));
  };
  await spoil("update audit set who = 'bob' where id = 700", 700);
  await spoil("delete from audit where id = 1", 1);
  await spoil("delete from audit where id = 500; update audit set id = id - 1 where id > 500", 500);
  assert.deepEqual(await store.verify(), whole);
});

test("an end that was cut off is found by a checkpoint, one that is there is not", async () => {
  const store = new AuditStore(database.tables);
  const whole = await store.verify();
  assert.ok(whole.isWhole);
  const since = { id: whole.lastId, hash: whole.lastHash };
  store.queue(entry("POST /later"));
  await store.flush();
  assert.equal((await store.verify(since)).isWhole, true);
  const other = await store.verify({ ...since, hash: "0".repeat(64) });
  assert.deepEqual(other.isWhole ? undefined : other.brokenAtId, since.id);
  await database.tables
    .transaction()
    .execute(async (transaction) => {
      await sql.raw(`delete from audit where id >= ${since.id}`).execute(transaction);
      const shortened = new AuditStore(transaction);
      assert.equal((await shortened.verify()).isWhole, true, "a chain alone does not know where it ended");
      const found = await shortened.verify(since);
      assert.deepEqual(found.isWhole ? undefined : found.brokenAtId, since.id);
      throw new Error("undo");
    })
    .catch((error) => assert.equal((error as Error).message, "undo"));
});

test("old lines are cut with a line that tells of it; the rest still follows, and a cut that nobody tells of is found", async () => {
  const store = new AuditStore(database.tables);
  const before = await store.verify();
  assert.ok(before.isWhole);
  const { action: _, ...cutter } = entry("");
  assert.equal(await store.cut(new Date("2026-05-01"), cutter), undefined, "nothing is so old");
  store.queue({ ...entry("POST /new"), at: "2026-07-01T00:00:00.000Z" });
  const cut = await store.cut(new Date("2026-06-15"), { ...cutter, at: "2026-07-02T00:00:00.000Z" });
  assert.equal(cut?.id, before.lastId);
  assert.equal(cut?.count, before.lastId);
  const { items } = await store.list({ limit: 10 }, "asc");
  assert.deepEqual(
    items.map(({ id, action }) => [id, action]),
    [
      [before.lastId + 1, "POST /new"],
      [before.lastId + 2, `audit cut: lines to ${cut?.id} hash ${cut?.hash}`],
    ],
  );
  const after = await store.verify({ id: 1, hash: "0".repeat(64) });
  assert.deepEqual([after.isWhole, after.firstId, after.count], [true, before.lastId + 1, 2]);
  await sql.raw(`delete from audit where id = ${before.lastId + 1}`).execute(database.tables);
  assert.equal((await store.verify()).isWhole, false);
});
