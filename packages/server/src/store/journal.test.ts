import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { sql } from "kysely";
import { type Database, openDatabase } from "./database.ts";
import { EVENT_LOCK } from "./event-rows.ts";
import { Journal } from "./journal.ts";
import { migrate } from "./migrate.ts";
import { type ScratchDatabase, startScratchDatabase } from "./scratch-database.ts";

let scratch: ScratchDatabase;
let database: Database;
before(async () => {
  scratch = await startScratchDatabase();
  database = openDatabase(scratch.url);
  await migrate(database.tables);
  await sql`create table kept (n int)`.execute(database.tables);
});
after(async () => {
  await database.close();
  await scratch.stop();
});

test("a listener that throws is told of, and keeps neither others nor itself from what comes", async () => {
  const failures: string[] = [];
  const journal = new Journal(database.tables, {
    onListenerFailed: (error, { sentence }) => failures.push(`${error}: ${sentence}`),
  });
  const heard: string[] = [];
  journal.subscribe(({ sentence }) => {
    heard.push(`first ${sentence}`);
    if (sentence !== "three") throw new Error("cannot");
  });
  journal.subscribe(({ sentence }) => heard.push(`second ${sentence}`));
  const remark = (sentence: string) =>
    journal.write(async () => ({ result: undefined, events: [{ kind: "update.note" as const, sentence }] }));
  await remark("one");
  journal.publishLive({
    kind: "device.value",
    endpoint: null,
    updateId: null,
    campaignId: null,
    sentence: "two",
    facts: {},
  });
  await remark("three");
  assert.deepEqual(heard, ["first one", "second one", "first two", "second two", "first three", "second three"]);
  assert.deepEqual(failures, ["Error: cannot: one", "Error: cannot: two"]);
  assert.equal(journal.listenerFailureCount, 2);
});

test("of changes that share a transaction, one that fails is undone alone, in the program or in the database", async () => {
  const journal = new Journal(database.tables);
  const heard: string[] = [];
  journal.subscribe((event) => heard.push(event.sentence));
  const keep = (n: number, failure?: () => Promise<unknown>) =>
    journal.write(async (transaction) => {
      await sql`insert into kept values (${n})`.execute(transaction);
      await failure?.();
      if (n === 2) await sql`select 1 / 0`.execute(transaction);
      return { result: n, events: [{ kind: "update.note" as const, sentence: `kept ${n}` }] };
    });
  const outcomes = await Promise.allSettled([
    keep(0),
    keep(1, () => Promise.reject(new Error("changed its mind"))),
    keep(2),
    keep(3),
  ]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected", "rejected", "fulfilled"],
  );
  const { rows } = await sql<{ n: number }>`select n from kept order by n`.execute(database.tables);
  assert.deepEqual(rows, [{ n: 0 }, { n: 3 }]);
  assert.deepEqual(heard, ["kept 0", "kept 3"]);
});

test("what the database cannot hold is taken out of an event and fails no other", async () => {
  const journal = new Journal(database.tables);
  const append = (endpoint: string) =>
    journal.write(async () => ({
      result: 0,
      events: [{ kind: "device.registered" as const, endpoint, sentence: "" }],
    }));
  const written = await Promise.all([append("sound"), append("odd\0\ud800"), append("sound too")]);
  assert.deepEqual(
    written.map(({ events }) => events[0]?.endpoint),
    ["sound", "odd\ufffd", "sound too"],
  );
});

test("while another server is between its event and its commit, no event gets a later id before it", async () => {
  const journal = new Journal(database.tables);
  let isWritten = false;
  const writing = await database.tables.connection().execute(async (other) => {
    await sql`select pg_advisory_lock(${EVENT_LOCK})`.execute(other);
    const written = journal
      .write(async () => ({ result: 1, events: [{ kind: "update.note" as const, sentence: "after the other" }] }))
      .then(() => {
        isWritten = true;
      });
    const waiterCount = async () => {
      const { rows } = await sql`
        select 1 from pg_locks where locktype = 'advisory' and not granted`.execute(other);
      return rows.length;
    };
    while (!isWritten && (await waiterCount()) === 0);
    assert.equal(isWritten, false);
    await sql`select pg_advisory_unlock(${EVENT_LOCK})`.execute(other);
    return { written };
  });
  await writing.written;
  assert.equal(isWritten, true);
});

test("what another server did while it cannot be read is told later, before what was done here since", async () => {
  let isAway = false;
  const tables = new Proxy(database.tables, {
    get: (target, name) => {
      if (isAway && name === "selectFrom") throw new EnvironmentError("DATABASE_AWAY", "no connection in time");
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const [here, there] = [new Journal(tables), new Journal(database.tables)];
  await here.start();
  const heard: string[] = [];
  here.subscribe(({ sentence }) => heard.push(sentence));
  const remark = (journal: Journal, sentence: string) =>
    journal.write(async () => ({ result: undefined, events: [{ kind: "update.note" as const, sentence }] }));
  await remark(there, "theirs");
  isAway = true;
  await remark(here, "ours");
  assert.deepEqual(heard, []);
  isAway = false;
  await here.catchUp();
  assert.deepEqual(heard, ["theirs", "ours"]);
});

test("a statement that takes too long failed for now, not for ever", async () => {
  const hasty = openDatabase(scratch.url, { statementTimeoutMs: 10 });
  await assert.rejects(sql`select pg_sleep(60)`.execute(hasty.tables), { code: "DATABASE_AWAY" });
  await hasty.close();
});

test("changes whose locks were taken from them are made anew, all or none, and told once", async () => {
  let conflictCount = 0;
  const journal = new Journal(database.tables, {
    onLockConflict: () => {
      conflictCount += 1;
    },
  });
  const heard: string[] = [];
  journal.subscribe(({ sentence }) => heard.push(sentence));
  const keep = (n: number, conflicts = 0) => {
    let leftConflicts = conflicts;
    return journal.write(async (transaction) => {
      await sql`insert into kept values (${n})`.execute(transaction);
      if (n === 12 && conflictCount === 0) throw new RangeError("not yet");
      leftConflicts -= 1;
      if (leftConflicts >= 0)
        await sql`do $$ begin raise exception 'waits for another' using errcode = '40P01'; end $$`.execute(transaction);
      return { result: n, events: [{ kind: "update.note" as const, sentence: `kept ${n}` }] };
    });
  };
  const first = keep(10);
  const together = [keep(11), keep(12), keep(13, 2), keep(14)];
  assert.equal((await first).result, 10);
  // What the twelfth said to the first try does not count: it is on record.
  assert.deepEqual(
    (await Promise.all(together)).map(({ result }) => result),
    [11, 12, 13, 14],
  );
  assert.deepEqual([conflictCount, heard], [2, [10, 11, 12, 13, 14].map((n) => `kept ${n}`)]);
  const { rows } = await sql<{ n: number }>`select n from kept where n between 10 and 19`.execute(database.tables);
  assert.deepEqual(rows.map(({ n }) => n).toSorted(), [10, 11, 12, 13, 14]);
  await assert.rejects(keep(15, 3), { code: "DATABASE_AWAY", facts: { reason: "40P01" } });
});
