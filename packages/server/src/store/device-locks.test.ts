/** Whoever writes several devices takes their rows in one order, so that no two wait for each other. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { sql } from "kysely";
import { ExampleGateway, ExampleMeshDevice } from "../links/mesh-example.ts";
import { openDatabase } from "./database.ts";
import type { Stores } from "./ports.ts";
import { exampleRegistration, openScratchStores, openSecondStores, type ScratchStores } from "./scratch-stores.ts";

const ROUNDS = 25;
const MESH_ROUNDS = 5;
const endpoints = Array.from({ length: 60 }, (_, n) => `device-${n}`);

let scratch: ScratchStores;
let second: Stores;
const failures: unknown[] = [];
before(async () => {
  const onTrouble = (_: string, facts: Readonly<Record<string, unknown>>) => failures.push(facts["error"]);
  scratch = await openScratchStores({ onTrouble });
  second = await openSecondStores(scratch, { onTrouble });
});
after(async () => {
  await second.close();
  await scratch.close();
});

/** Since the database was made; sessions that have ended have told all of theirs. */
async function deadlockCount(): Promise<number | undefined> {
  const database = openDatabase(scratch.database.url);
  const { rows } = await sql<{ deadlocks: number }>`
    select deadlocks from pg_stat_database where datname = current_database()`.execute(database.tables);
  await database.close();
  return rows[0]?.deadlocks;
}

test("devices that report, updates that end and operators who edit do not block each other", async () => {
  const { stores } = scratch;
  const name = { manufacturer: "Example", model: "Sensor", version: "1.0.0", hardware: [] };
  const { image } = await stores.images.add(Readable.from([new Uint8Array(100)]), name);
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = (endpoint: string) => ({ endpoint, imageId: image.id, by: "auto" as const, apply: true });
    const updates = await Promise.all(endpoints.map((endpoint) => stores.updates.create(order(endpoint))));
    const isBackwards = round % 2 === 0;
    const listed = isBackwards ? endpoints.toReversed() : endpoints;
    for (const device of [stores.devices, second.devices]) {
      device.queueSave(listed.map((endpoint) => exampleRegistration(endpoint, { presence: "registered" })));
      for (const endpoint of listed.toReversed()) device.queueReport({ endpoint, version: `1.0.${round}` });
    }
    const ending = (isBackwards ? updates : updates.toReversed()).map(({ id }) =>
      stores.updates.transition(id, { state: "failed", failure: "updateFailed", sentence: "failed" }),
    );
    const lines = listed.map((endpoint) => ({ endpoint, note: `${round}` }));
    const editing =
      round === 0 ? [] : [second.inventory.importLines(lines), second.inventory.edit("device-7", { tags: [] })];
    await Promise.all([...ending, ...editing, stores.devices.flush(), second.devices.flush()]);
  }
  const counted = openDatabase(scratch.database.url);
  const { rows } = await sql<{ count: number }>`select min(failure_count)::integer as count from devices`.execute(
    counted.tables,
  );
  await counted.close();
  assert.ok((rows[0]?.count ?? 0) >= ROUNDS - 1);
  assert.deepEqual(failures, []);
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
  await second.close();
  assert.equal(await deadlockCount(), 0);
});
