import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BroadcastStage, transmitIn } from "./broadcast-stage.ts";
import { commandsIn, type ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

test("all of a group hear one schedule and one word to install; a part of it is spoken to one by one", async () => {
  const { world, campaignId, order } = await stage.begun(4);
  assert.equal(order.parts[0]?.commands.filter(({ name }) => name === order.pollChannel.name).length, 2);
  for (const device of world.devices) assert.equal(device.schedules.length, 2);
  await world.tell(
    ...world.devices.map((device) => world.gateway.event(device.say("verified"))),
    world.gateway.end(order),
  );
  await world.turn();
  const [apply, ...rest] = (await world.orders()).flatMap(commandsIn);
  assert.equal(apply?.name, order.pollChannel.name);
  assert.deepEqual(rest, []);
  for (const device of world.devices) assert.ok(device.appliedName);
  assert.ok(campaignId);

  const other = await stage.world(4).open("3.0.0");
  const { items } = await stage.stores.images.list({ limit: 1 });
  const only = other.devices[2] as ExampleMeshDevice;
  await stage.stores.updates.create({
    endpoint: only.deviceId,
    imageId: items[0]?.id ?? "",
    by: "auto",
    apply: true,
  });
  await other.broadcast.sweep();
  const part = transmitIn(await other.orders());
  assert.equal(part.deviceCount, 1);
  assert.deepEqual(
    other.devices.map(({ schedules }) => schedules.length),
    [0, 0, 2, 0],
  );
});
