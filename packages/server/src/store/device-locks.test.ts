/**
 * Whoever writes several devices, or their updates, takes the rows in one order, so that no two wait for each other. Each pair is made to
 * meet: while a third session has the row in the middle, one goes through the rows forwards and the other backwards. Two that take the
 * rows as they are asked to have each one half then, and wait for the other's.
 */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import type { Update } from "@airlift/protocol/api/schemas";
import { sql } from "kysely";
import { ExampleGateway, ExampleMeshDevice } from "../links/mesh-example.ts";
import { type Database, openDatabase } from "./database.ts";
import type { Stores } from "./ports.ts";
import { exampleRegistration, openScratchStores, openSecondStores, type ScratchStores } from "./scratch-stores.ts";

const endpoints = Array.from({ length: 7 }, (_, n) => `device-${n}`);
const MIDDLE = "device-3";
const MESH_ROUNDS = 5;

let scratch: ScratchStores;
let second: Stores;
/** The session that keeps the middle, and looks on. */
let third: Database;
let imageId: string;
const failures: unknown[] = [];
before(async () => {
  const onTrouble = (_: string, facts: Readonly<Record<string, unknown>>) => failures.push(facts["error"]);
  scratch = await openScratchStores({ onTrouble });
  second = await openSecondStores(scratch, { onTrouble });
  third = openDatabase(scratch.database.url, { connectionCount: 2 });
  const name = { manufacturer: "Example", model: "Sensor", version: "1.0.0", hardware: [] };
  imageId = (await scratch.stores.images.add(Readable.from([new Uint8Array(100)]), name)).image.id;
  scratch.stores.devices.queueSave(endpoints.map((endpoint) => exampleRegistration(endpoint)));
  await scratch.stores.devices.flush();
});
after(async () => {
  await third.close();
  await second.close();
  await scratch.close();
});

/** What is to be done to the devices of a list, whose updates are in the same order. */
type Writer = (stores: Stores, updates: readonly Update[]) => Promise<unknown>;

const each = (updates: readonly Update[], work: (update: Update) => Promise<unknown>) =>
  Promise.allSettled(updates.map(work));

/** Whoever has the updates. */
const DRIVING: Readonly<Record<string, Writer>> = {
  "updates that end": ({ updates }, asked) =>
    each(asked, ({ id }) => updates.transition(id, { state: "failed", failure: "updateFailed", sentence: "failed" })),
  "updates that go on": ({ updates }, asked) =>
    each(asked, ({ id }) => updates.transition(id, { state: "transferring", sentence: "goes on" })),
  "updates that are tried again": async ({ updates }, asked) => each(asked, ({ id }) => updates.reopen(id)),
  "new updates": ({ updates }, asked) =>
    each(asked, ({ endpoint }) => updates.create({ endpoint, imageId, by: "auto", apply: true })),
  "words to install": ({ mesh }, asked) => each(asked, ({ id }) => mesh.permit(id)),
  progress: async ({ updates }, asked) => {
    for (const { id } of asked) updates.queueProgress(id, 50);
    await updates.flush();
  },
};

/** What any server does, to several devices at once. */
const ANYWHERE: Readonly<Record<string, Writer>> = {
  registrations: async ({ devices }, asked) => {
    devices.queueSave(asked.map(({ endpoint }) => exampleRegistration(endpoint)));
    await devices.flush();
  },
  reports: async ({ devices }, asked) => {
    for (const { endpoint } of asked) devices.queueReport({ endpoint, version: "1.0.1" });
    await devices.flush();
  },
  "lines of operators": ({ inventory }, asked) =>
    inventory.importLines(asked.map(({ endpoint, id }) => ({ endpoint, note: id }))),
  "reports of radio devices": ({ mesh }, asked) =>
    each(asked, ({ id }) =>
      mesh.sessions.record({
        changes: [{ updateId: id, state: "transferring", failure: null, sentence: `broadcast ${id}` }],
      }),
    ),
};

/** How many sessions wait for a lock now. */
async function waitingCount(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::integer as count from pg_stat_activity
    where datname = current_database() and wait_event in ('tuple', 'transactionid')`.execute(third.tables);
  return rows[0]?.count ?? 0;
}

/** Runs both while the row in the middle is taken, and gives it back when each of them waits, or has ended. */
async function meet(table: "devices" | "updates", writers: readonly (() => Promise<unknown>)[]): Promise<void> {
  let leftCount = writers.length;
  const { started } = await third.tables.transaction().execute(async (transaction) => {
    await sql`select from ${sql.ref(table)} where endpoint = ${MIDDLE} for update`.execute(transaction);
    const started = writers.map((write) =>
      write().finally(() => {
        leftCount -= 1;
      }),
    );
    while ((await waitingCount()) < leftCount) await new Promise((resolve) => setImmediate(resolve));
    return { started };
  });
  await Promise.all(started);
}

/** Updates of all devices as this writer finds them. */
async function updatesFor(writer: string): Promise<Update[]> {
  const endAll = sql`update updates set state = 'failed', finished_at = now() where finished_at is null`;
  await endAll.execute(third.tables);
  const { updates } = scratch.stores;
  const created: Update[] = [];
  for (const endpoint of endpoints) created.push(await updates.create({ endpoint, imageId, by: "auto", apply: true }));
  if (writer === "progress")
    await sql`update updates set state = 'transferring' where finished_at is null`.execute(third.tables);
  if (writer === "new updates" || writer === "updates that are tried again") await endAll.execute(third.tables);
  return created;
}

const writers = { ...DRIVING, ...ANYWHERE };
for (const [one, writeOne] of Object.entries(writers))
  for (const [other, writeOther] of Object.entries(ANYWHERE))
    test(`${one} and ${other} do not wait for each other`, async () => {
      for (const table of ["devices", "updates"] as const) {
        const updates = await updatesFor(one);
        await meet(table, [() => writeOne(scratch.stores, updates), () => writeOther(second, updates.toReversed())]);
        await meet(table, [() => writeOne(scratch.stores, updates.toReversed()), () => writeOther(second, updates)]);
      }
      assert.deepEqual(failures.splice(0), []);
    });

test("gateways that hear the same devices, each at its server, do not block each other", async () => {
  const servers = [scratch.stores.mesh, second.mesh] as const;
  const [mesh] = servers;
  const devices = Array.from({ length: 15 }, (_, n) => new ExampleMeshDevice(`mesh-${n}`, n));
  for (const { deviceId, channel } of devices)
    await mesh.devices.onboard({ deviceId, channel }, { payload: "", manufacturer: "Example", model: "TH-1" });
  const gateways = servers.map((_, at) => devices.map((__, n) => new ExampleGateway(`gw-${at}-${n}`)));
  for (const { id } of gateways.flat()) await mesh.gateways.add({ id, cells: ["cell"] });
  for (let round = 0; round < MESH_ROUNDS; round += 1) {
    const heard = servers.map(({ reports }, at) => {
      const taken = devices.map((device, n) => {
        const gateway = gateways[at]?.[n] as ExampleGateway;
        return () => reports.take(gateway.id, gateway.batch(gateway.event(device.say("none"))));
      });
      return at === 0 ? taken : taken.toReversed();
    });
    const asked = servers.map(({ devices: asking }) =>
      asking.reserveDevices(devices.map(({ deviceId }) => deviceId).toReversed(), 1),
    );
    await Promise.all([...heard.flat().map((take) => take()), ...asked]);
  }
  assert.deepEqual(failures.splice(0), []);
  await second.close();
  assert.equal(await deadlockCount(), 0);
});

/** Since the database was made; sessions that have ended have told all of theirs. */
async function deadlockCount(): Promise<number | undefined> {
  const { rows } = await sql<{ deadlocks: number }>`
    select deadlocks from pg_stat_database where datname = current_database()`.execute(third.tables);
  return rows[0]?.deadlocks;
}
