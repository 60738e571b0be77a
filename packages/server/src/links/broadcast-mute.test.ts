import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pg from "pg";
import { BroadcastStage, transmitIn } from "./broadcast-stage.ts";
import type { ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
let database: pg.Client;
before(async () => {
  stage = await BroadcastStage.open();
  database = new pg.Client({ connectionString: stage.databaseUrl });
  await database.connect();
});
after(async () => {
  await database.end();
  await stage.close();
});

const NO_NUMBERS = "the device has used up its own numbers and needs a new key";
const NO_KEY = "the device's own key is not here";

/** No number of its own is left after this. */
const spend = (device: ExampleMeshDevice) => stage.stores.mesh.devices.reserveDevices([device.deviceId], 2 ** 24);

/** As when a table came back from a backup that the device is not in. */
const moveKey = (from: string, to: string) =>
  database.query("update mesh_secrets set place = $2 where place = $1", [from, to]);
const takeKey = ({ deviceId }: ExampleMeshDevice) => moveKey(`device ${deviceId}`, `away ${deviceId}`);
const putKey = ({ deviceId }: ExampleMeshDevice) => moveKey(`away ${deviceId}`, `device ${deviceId}`);

test("a device without numbers or without a key is in no broadcast, does not count in it, and says so at once", async () => {
  const world = await stage.world(3).open();
  const [, spent, keyless] = world.devices as [ExampleMeshDevice, ExampleMeshDevice, ExampleMeshDevice];
  await spend(spent);
  await takeKey(keyless);
  await world.campaign();
  await world.turn();
  assert.deepEqual([await world.stateOf(1), await world.sentenceOf(1)], ["failed rejected", `failed: ${NO_NUMBERS}`]);
  assert.deepEqual([await world.stateOf(2), await world.sentenceOf(2)], ["waiting", `waiting: ${NO_KEY}`]);
  const order = transmitIn(await world.orders());
  assert.equal(order.deviceCount, 1);
  assert.deepEqual([spent.schedules, keyless.schedules], [[], []], "nobody else hears what is not for the whole group");
  await world.tell(
    world.gateway.event((world.devices[0] as ExampleMeshDevice).say("verified")),
    world.gateway.end(order),
  );
  await putKey(keyless);
  await world.broadcast.sweep();
  assert.equal(transmitIn(await world.orders()).deviceCount, 1, "a key that is back is enough");
});

test("a device that is quiet after its broadcast and cannot be asked does not wait for five questions", async () => {
  const { world, order } = await stage.begun(2, { quietMs: 0 });
  const [first, second] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await spend(first);
  await takeKey(second);
  await world.tell(world.gateway.end(order));
  await new Promise((resolve) => setImmediate(resolve));
  await world.broadcast.sweep();
  const begin = "silent: nothing was heard of the device, and it cannot be asked: ";
  assert.deepEqual([await world.sentenceOf(0), await world.sentenceOf(1)], [begin + NO_NUMBERS, begin + NO_KEY]);
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["silent", "silent"]);
});

test("a device that lacks packets and cannot be asked to fetch them ends with that", async () => {
  const { world, order } = await stage.begun(1, { quietMs: 3_600_000 });
  const [device] = world.devices as [ExampleMeshDevice];
  await spend(device);
  await world.tell(world.gateway.end(order));
  await world.tell(world.gateway.event(device.say("repairing", { deficit: 2, receivedCount: 60 })));
  await world.broadcast.sweep();
  assert.deepEqual([await world.stateOf(0), await world.sentenceOf(0)], ["failed rejected", `failed: ${NO_NUMBERS}`]);
});
