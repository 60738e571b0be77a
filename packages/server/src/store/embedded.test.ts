import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import pg from "pg";
import { openDatabase } from "./database.ts";
import { startEmbedded } from "./embedded.ts";
import { MIGRATIONS, migrate } from "./migrate.ts";

const settings = ["fsync=off"];
const folderOf = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "embedded-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "postgres");
};
const ask = async (url: string, statement: string): Promise<unknown> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(statement);
  await client.end();
  return rows;
};
/** Asks until there is an answer. */
/** A database answers a moment before its server owns it again. */
const untilOwned = async (url: string): Promise<void> => {
  const owners = "select 1 from pg_locks where locktype = 'advisory' and granted";
  for (;;) {
    const rows = (await ask(url, owners).catch(() => [])) as unknown[];
    if (rows.length > 0) return;
  }
};
const pidOf = (folder: string) => Number.parseInt(readFileSync(join(folder, "postmaster.pid"), "utf8"), 10);

test("what was written is there after a stop and a start, and a second server on the folder is refused", async (t) => {
  const folder = folderOf(t);
  const first = await startEmbedded(folder, { settings });
  await ask(first.url, "create table kept as select 7 as n");
  await assert.rejects(
    startEmbedded(folder, { settings }),
    (error) => error instanceof UsageError && error.code === "DATA_IN_USE",
  );
  await first.stop();
  const second = await startEmbedded(folder, { settings });
  assert.deepEqual(await ask(second.url, "select n from kept"), [{ n: 7 }]);
  await second.stop();
  await second.stop();
});

test("a PostgreSQL that outlived its killed server is taken over with all that was committed, and started again when it dies", async (t) => {
  const folder = folderOf(t);
  const script = `
    const { startEmbedded } = await import(${JSON.stringify(import.meta.resolve("./embedded.ts"))});
    const { url } = await startEmbedded(${JSON.stringify(folder)});
    const { Client } = (await import(${JSON.stringify(import.meta.resolve("pg"))})).default;
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query("create table kept as select 7 as n");
    process.kill(process.pid, "SIGKILL");`;
  const server = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: "inherit" });
  assert.deepEqual(await once(server, "exit"), [null, "SIGKILL"]);
  const pid = pidOf(folder);
  const crashed = Promise.withResolvers<void>();
  let takenOverCount = 0;
  const next = await startEmbedded(folder, {
    settings,
    onCrash: () => crashed.resolve(),
    onTakenOver: () => {
      takenOverCount += 1;
    },
  });
  assert.equal(takenOverCount, 1);
  assert.deepEqual(await ask(next.url, "select n from kept"), [{ n: 7 }]);
  assert.equal(pidOf(folder), pid);
  process.kill(pid, "SIGKILL");
  await crashed.promise;
  await untilOwned(next.url);
  await assert.rejects(startEmbedded(folder, { settings }), { code: "DATA_IN_USE" });
  await next.stop();
});

test("of two first starts at once one gets the folder, the other is refused, and the database is whole", async (t) => {
  const folder = folderOf(t);
  const both = await Promise.allSettled([startEmbedded(folder, { settings }), startEmbedded(folder, { settings })]);
  const started = both.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const refused = both.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  assert.equal(started.length, 1);
  assert.equal(refused[0]?.code, "DATA_IN_USE");
  assert.deepEqual(await ask(started[0]?.url ?? "", "select 1 as one"), [{ one: 1 }]);
  await started[0]?.stop();
});

test("a process number left over from a crash, now another process's, does not keep the database from starting", async (t) => {
  const folder = folderOf(t);
  const first = await startEmbedded(folder, { settings });
  await first.stop();
  writeFileSync(join(folder, "postmaster.pid"), `${process.pid}\n${folder}\n1\n5432\n\n\n`);
  const second = await startEmbedded(folder, { settings });
  assert.deepEqual(await ask(second.url, "select 1 as one"), [{ one: 1 }]);
  await second.stop();
});

test("a PostgreSQL that dies is started again, and the pool finds it", async (t) => {
  const folder = folderOf(t);
  const crashed = Promise.withResolvers<void>();
  const postgres = await startEmbedded(folder, { settings, onCrash: () => crashed.resolve() });
  const database = openDatabase(postgres.url);
  await migrate(database.tables);
  process.kill(pidOf(folder), "SIGKILL");
  await crashed.promise;
  const count = () => database.tables.selectFrom("images").select("id").execute();
  await assert.rejects(count(), (error) => error instanceof EnvironmentError && error.code === "DATABASE_AWAY");
  for (;;) {
    const rows = await count().catch(() => undefined);
    if (rows !== undefined) break;
  }
  await database.close();
  await postgres.stop();
});

test("a folder that is closed to others and has a long path is served all the same", async (t) => {
  const outer = join(folderOf(t), "..", "x".repeat(60), "y".repeat(60));
  mkdirSync(outer, { recursive: true, mode: 0o700 });
  const postgres = await startEmbedded(join(outer, "postgres"), { settings });
  assert.deepEqual(await ask(postgres.url, "select 1 as one"), [{ one: 1 }]);
  await postgres.stop();
});

test("migrations are applied once, also by two programs at once; a newer database is refused; a broken one leaves no trace", async (t) => {
  const postgres = await startEmbedded(folderOf(t), { settings });
  const database = openDatabase(postgres.url);
  const applied = await Promise.all([migrate(database.tables), migrate(database.tables)]);
  assert.deepEqual(applied.sort(), [0, MIGRATIONS.length]);
  const broken = { name: "broken", sql: "create table half (n int); select nothing from nowhere" };
  await assert.rejects(
    migrate(database.tables, [...MIGRATIONS, broken]),
    (error) => error instanceof EnvironmentError && error.code === "MIGRATION",
  );
  assert.deepEqual(await ask(postgres.url, "select to_regclass('half')::text as half"), [{ half: null }]);
  await assert.rejects(
    migrate(database.tables, []),
    (error) => error instanceof UsageError && error.code === "DATABASE_NEWER",
  );
  await database.close();
  await postgres.stop();
});
