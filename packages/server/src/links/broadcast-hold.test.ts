import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BroadcastStage } from "./broadcast-stage.ts";
import { commandsIn, type ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

test("devices that were to be told to install are held by a pause; who was told before installs, and is not told again", async () => {
  const { world, campaignId, order, name } = await stage.begun(2);
  const [, second] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  const tell = (command: "pause" | "resume") => world.engine.command(campaignId, { command, by: "ann" }, Date.now());
  await world.tell(
    ...world.devices.map((device) => world.gateway.event(device.say("verified"))),
    world.gateway.end(order),
  );
  for (const { campaignId: id, endpoint, ...news } of world.reports.splice(0))
    if (id !== null) await world.engine.report({ campaignId: id, endpoint }, news, Date.now());
  const { campaigns, mesh } = stage.stores;
  const permits = await campaigns.takeOrders(Date.now(), 1000);
  assert.deepEqual(new Set(permits.map((one) => one.order.kind)), new Set(["apply"]));
  for (const permit of permits) assert.equal(await world.broadcast.take(permit), "done");
  await tell("pause");
  // The server that was just about to tell them finds them held.
  await world.broadcast.sweep();
  assert.deepEqual((await world.orders()).flatMap(commandsIn), []);
  await world.turn();
  assert.deepEqual(
    (await mesh.updatesIn("waitingToApply")).filter(({ mayApply }) => mayApply),
    [],
  );
  assert.equal(await world.broadcast.take(permits[0] as (typeof permits)[number]), "later");
  assert.match(await world.sentenceOf(0), /^waiting: the device is not told to install before its campaign says so/);
  await tell("resume");
  await world.turn();
  await world.orders();
  assert.equal(second.appliedName, name);
  await world.tell();
  await tell("pause");
  await world.turn();
  assert.deepEqual((await world.orders()).flatMap(commandsIn), []);
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["applying", "applying"]);
  for (const device of world.devices) device.version = [2, 0, 1];
  await world.tell(...world.devices.map((device) => world.gateway.event(device.say("confirmed"))));
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["succeeded", "succeeded"]);
});
