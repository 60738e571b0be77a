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
