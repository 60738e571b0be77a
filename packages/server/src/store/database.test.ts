import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, type TestContext, test } from "node:test";
import { sql } from "kysely";
import { type Database, openDatabase } from "./database.ts";
import { type ScratchDatabase, startScratchDatabase } from "./scratch-database.ts";

let scratch: ScratchDatabase;
before(async () => {
  scratch = await startScratchDatabase();
});
after(() => scratch.stop());

/** Enough for a slow machine to open a connection. */
const LIMIT_MS = 2_000;

/** One connection to the database, for which nobody waits long; `outages` is what is told of it. */
function narrow(t: TestContext, url = scratch.url): { database: Database; outages: string[] } {
  const outages: string[] = [];
  const onOutage = { onAway: (reason: string) => outages.push(reason), onBack: () => outages.push("back") };
  const database = openDatabase(url, { connectionCount: 1, connectTimeoutMs: LIMIT_MS, onOutage });
  t.after(() => database.close());
  return { database, outages };
}

test("whoever finds no free connection, while others are answered, may ask again: that is no outage", async (t) => {
  const { database, outages } = narrow(t);
  await database.tables.connection().execute(async (only) => {
    let isRefused = false;
    const refused = assert.rejects(sql`select 1`.execute(database.tables), {
      name: "EnvironmentError",
      code: "STORE_BUSY",
      facts: { connectionCount: 1 },
    });
    void refused.finally(() => {
      isRefused = true;
    });
    // An answer is one, also when it is a refusal.
    while (!isRefused) await assert.rejects(sql`select 1 / 0`.execute(only), { code: "22012" });
    await refused;
  });
  await sql`select 1`.execute(database.tables);
  assert.deepEqual(outages, []);
});

test("when the database has answered nobody in that time, it is away", async (t) => {
  const { database, outages } = narrow(t);
  await database.tables.connection().execute(async (only) => {
    await sql`select 1`.execute(only);
    const waiting = sql`select 1`.execute(database.tables);
    await assert.rejects(waiting, {
      code: "DATABASE_AWAY",
      facts: { reason: "timeout exceeded when trying to connect" },
    });
  });
  await sql`select 1`.execute(database.tables);
  assert.deepEqual(outages, ["timeout exceeded when trying to connect", "back"]);
});

test("one that lets nobody in is away", async (t) => {
  const mute = createServer(() => {});
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  t.after(() => mute.close());
  const { port } = mute.address() as { port: number };
  const { database, outages } = narrow(t, `postgresql://airlift@127.0.0.1:${port}/airlift`);
  await assert.rejects(sql`select 1`.execute(database.tables), { code: "DATABASE_AWAY" });
  assert.deepEqual(outages, ["Connection terminated due to connection timeout"]);
});

test("one that takes no writes now may take them later, and is not away", async (t) => {
  const { database, outages } = narrow(t);
  await database.tables.connection().execute(async (only) => {
    await sql`set default_transaction_read_only = on`.execute(only);
    await assert.rejects(sql`create table kept (n int)`.execute(only), {
      code: "DATABASE_AWAY",
      facts: { reason: "25006" },
    });
  });
  assert.deepEqual(outages, []);
});
