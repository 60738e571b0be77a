import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BroadcastStage, transmitIn } from "./broadcast-stage.ts";
import type { ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

test("a device that was taken in by its label gets a campaign's image by broadcast, installs on the campaign's word and is believed", async () => {
  const world = await stage.world(1).open();
  const [device] = world.devices as [ExampleMeshDevice];
  const campaignId = await world.campaign();
  await world.turn();
  const order = transmitIn(await world.orders());
  assert.deepEqual(
    order.parts.map(({ content }) => content.name),
    [device.schedules[0], device.schedules[1]].map((one) => Buffer.from(one?.name ?? []).toString("hex")),
  );
  assert.ok(device.group !== undefined && Buffer.from(device.group.key).toString("hex") === order.pollChannel.key);
  assert.equal((await stage.stores.mesh.devices.get(device.deviceId))?.hasGroupKey, true);

  const name = order.parts[1]?.content.name ?? "";
  const file = await world.fileOf(name);
  assert.deepEqual(Buffer.from(device.receive(name, file) ?? []), world.bytes);
  await world.tell(world.gateway.event(device.say("receiving", { receivedCount: 20, deficit: 47 })));
  assert.equal(await world.stateOf(0), "transferring");
  await world.tell(world.gateway.event(device.say("verified")), world.gateway.end(order));
  assert.equal(await world.stateOf(0), "waitingToApply");
  await world.turn();
  assert.equal(device.appliedName, undefined);
  await world.orders();
  assert.equal(device.appliedName, name);
  assert.equal(await world.stateOf(0), "applying");
  device.version = [2, 0, 1];
  await world.tell(world.gateway.event(device.say("confirmed")));
  assert.equal(await world.stateOf(0), "succeeded");
  await world.turn();
  const kept = await stage.stores.campaigns.get(campaignId);
  assert.equal(kept?.campaign.state, "finished");
  assert.equal(kept.campaign.waves[0]?.counts.succeeded, 1);
  assert.equal((await stage.stores.devices.get(device.deviceId))?.version, "2.0.1");
  const section = await stage.stores.mesh.sessions.broadcastOf(campaignId);
  assert.deepEqual([section?.sessionCount, section?.runningCount, section?.airtimeUsedMs], [1, 0, 1234]);
});

test("a cancel that comes when the device has ended leaves its outcome as it is, and one before the begin takes its place", async () => {
  const world = await stage.world(2).open();
  const campaignId = await world.campaign();
  await world.engine.sweep(Date.now());
  const { campaigns, updates } = stage.stores;
  const [early, late] = await campaigns.takeOrders(Date.now(), 10);
  assert.ok(early !== undefined && late !== undefined);
  assert.equal(await world.broadcast.take(late), "done");
  const [held] = (await updates.list({ endpoint: late.target.endpoint }, { limit: 1 })).items;
  await updates.transition(held?.id ?? "", { state: "succeeded", sentence: "succeeded: runs 2.0.1" });
  for (const { target, order } of [early, late]) {
    const cancel = { kind: "cancel" as const, attempt: order.attempt };
    assert.equal(await world.broadcast.take({ target, order: cancel }), "done");
  }
  assert.deepEqual(
    world.reports.splice(0).map(({ endpoint, state }) => [endpoint, state]),
    [
      [early.target.endpoint, "cancelled"],
      [late.target.endpoint, "succeeded"],
    ],
  );
  assert.equal(await world.broadcast.take(early), "done");
  const { items } = await updates.list({ endpoint: early.target.endpoint }, { limit: 10 });
  assert.deepEqual(
    items.map(({ state }) => state),
    ["cancelled"],
  );
  await world.engine.command(campaignId, { command: "stop", by: "ann" }, Date.now());
});

test("a stopped campaign is off the air at once: the gateway is ordered to, and the devices are told", async () => {
  const { world, campaignId, order, name } = await stage.begun(2);
  world.broadcast.start();
  try {
    const heard = new Promise<void>((resolve) => {
      const stop = stage.stores.mesh.gateways.onOrders(world.gateway.id, () => {
        stop();
        resolve();
      });
    });
    await world.engine.command(campaignId, { command: "stop", by: "ann" }, Date.now());
    await heard;
    const orders = await world.orders();
    assert.ok(orders.some((one) => one.order.kind === "cancel" && one.order.sessionId === order.sessionId));
    for (const device of world.devices) assert.equal(device.cancelledName, name);
    await world.turn();
    assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["cancelled", "cancelled"]);
    assert.equal((await stage.stores.mesh.sessions.get(order.sessionId))?.outcome, "cancelled");
  } finally {
    await world.broadcast.close();
  }
});

test("a group's new key reaches its devices before the next broadcast, and an order never holds a key at rest", async () => {
  const { world, order, name } = await stage.begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const oldKey = device.group?.key;
  device.version = [2, 0, 1];
  await world.tell(world.gateway.event(device.say("confirmed")), world.gateway.end(order));
  const [group] = (await stage.stores.mesh.devices.groups()).filter(({ model }) => model === world.model);
  const rotated = await stage.stores.mesh.devices.rotate(group?.id ?? "");
  assert.deepEqual([rotated.generation, rotated.keyCount], [2, 0]);
  await stage.stores.updates.create({ endpoint: device.deviceId, imageId: world.image.id, by: "auto", apply: true });
  await world.broadcast.sweep();
  const next = transmitIn(await world.orders());
  assert.notDeepEqual(device.group?.key, oldKey);
  assert.equal(Buffer.from(device.group?.key ?? []).toString("hex"), next.pollChannel.key);
  // The content is the same for good: name, octets and key.
  assert.equal(next.parts[1]?.content.sha256, order.parts[1]?.content.sha256);
  assert.deepEqual(device.receive(name, await world.fileOf(name)), new Uint8Array(world.bytes));
});

test("a device's timeline says each thing once, however a campaign repeats it; the log of all has both", async () => {
  const { world, campaignId, order } = await stage.begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  await world.tell(world.gateway.event(device.say("receiving", { deficit: 9 })));
  await world.turn();
  await world.tell(world.gateway.event(device.say("verified")), world.gateway.end(order));
  await world.engine.command(campaignId, { command: "stop", by: "ann" }, Date.now());
  await world.turn();
  const { deviceId: endpoint } = device;
  const sentences = async (withoutEchoes: boolean) => {
    const { items } = await stage.stores.events.list({ endpoint, withoutEchoes }, { limit: 1000 });
    return items.map(({ sentence }) => sentence).reverse();
  };
  const told = await sentences(true);
  assert.deepEqual(
    told.filter((sentence, i) => told.indexOf(sentence) !== i),
    [],
  );
  assert.deepEqual(told.slice(-2), [
    "cancelled: the campaign was stopped",
    "cancelled: the device is not told to install",
  ]);
  assert.deepEqual(new Set(await sentences(false)), new Set(told));
  assert.ok((await sentences(false)).length > told.length);
});
