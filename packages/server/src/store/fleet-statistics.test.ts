import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Database, openDatabase } from "./database.ts";
import { FleetStatistics, MOST_VERSIONS_OF_DAY } from "./fleet-statistics.ts";
import { exampleRegistration, openScratchStores, type ScratchStores } from "./scratch-stores.ts";

let scratch: ScratchStores;
let database: Database;

before(async () => {
  scratch = await openScratchStores();
  database = openDatabase(scratch.database.url);
});
after(async () => {
  await database.close();
  await scratch.close();
});

async function register(from: number, versions: readonly (string | undefined)[]): Promise<void> {
  const { devices } = scratch.stores;
  devices.queueSave(versions.map((_, index) => exampleRegistration(`d${from + index}`)));
  await devices.flush();
  for (const [index, version] of versions.entries())
    if (version !== undefined) devices.queueReport({ endpoint: `d${from + index}`, version });
  await devices.flush();
}

test("an empty fleet has no day, and none is made up", async () => {
  const { days, registeredCount } = await scratch.stores.statistics.versions(30);
  assert.deepEqual(days, []);
  assert.equal(registeredCount, 0);
});

test("registered devices are counted by version; who did not tell one is counted apart", async () => {
  await register(0, ["1.0", "1.0", "2.0", undefined]);
  scratch.stores.devices.queueSave([exampleRegistration("gone", { presence: "expired" })]);
  await scratch.stores.devices.flush();
  const { days, registeredCount, goneCount } = await scratch.stores.statistics.versions(30);
  assert.equal(days.length, 1);
  assert.deepEqual(days[0]?.counts, { "1.0": 2, "2.0": 1 });
  assert.equal(days[0]?.otherCount, 1);
  assert.equal(registeredCount, 4);
  assert.equal(goneCount, 1);
});

test("a count of a moment ago is not made again; an older one of today is replaced", async () => {
  await register(10, ["2.0"]);
  const kept = await scratch.stores.statistics.versions(30);
  assert.equal(kept.days[0]?.counts["2.0"], 1);
  const hasty = new FleetStatistics(database.tables, 0);
  const { days } = await hasty.versions(30);
  assert.equal(days.length, 1);
  assert.equal(days[0]?.counts["2.0"], 2);
});

test("of many versions the frequent ones are named and all devices are counted", async () => {
  await register(
    100,
    Array.from({ length: 40 }, (_, index) => `9.${index}`),
  );
  const hasty = new FleetStatistics(database.tables, 0);
  const { days, registeredCount } = await hasty.versions(30);
  const counts = days[0]?.counts ?? {};
  assert.equal(Object.keys(counts).length, MOST_VERSIONS_OF_DAY);
  assert.equal(counts["1.0"], 2);
  const sum = Object.values(counts).reduce((all, count) => all + count, 0);
  assert.equal(sum + (days[0]?.otherCount ?? 0), registeredCount);
});
