import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { GatewayOrder } from "@airlift/protocol/api/gateway";
import type { OpenApply } from "../store/gateway-store.ts";
import { APPLY_LEASE_MS } from "./broadcast-apply.ts";
import { BroadcastStage, type MeshWorld, transmitIn } from "./broadcast-stage.ts";
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

/** All but the last device have said that they hold the image; nobody has been told to install. */
async function held(deviceCount: number, heardCount: number) {
  const begun = await stage.begun(deviceCount);
  const { world, order } = begun;
  const heard = world.devices.slice(0, heardCount);
  await world.tell(...heard.map((device) => world.gateway.event(device.say("verified"))), world.gateway.end(order));
  return begun;
}

const installed = (world: MeshWorld) => world.devices.map(({ appliedName }) => appliedName !== undefined);

test("a device that has the image and was not heard is not told to install with its group", async () => {
  const { world } = await held(3, 2);
  await world.turn();
  await world.orders();
  assert.deepEqual(installed(world), [true, true, false]);
});

test("a device that kept the image of a campaign that was stopped is not told to install by the next one", async () => {
  const { world, campaignId } = await held(3, 3);
  await world.engine.command(campaignId, { command: "stop", by: "ann" }, Date.now());
  await world.turn();
  await world.orders();
  assert.equal(await world.stateOf(2), "cancelled");
  const [first, second, third] = world.devices as [ExampleMeshDevice, ExampleMeshDevice, ExampleMeshDevice];
  await world.campaign({ targets: { query: `endpoint=in=(${first.deviceId},${second.deviceId})` } });
  await world.turn();
  const order = transmitIn(await world.orders());
  await world.tell(
    world.gateway.event(first.say("verified")),
    world.gateway.event(second.say("verified")),
    world.gateway.end(order),
  );
  await world.turn();
  await world.orders();
  assert.deepEqual(installed(world), [true, true, false]);
  // It says that it holds no such image any more: from now on it is in nobody's way.
  await world.tell(world.gateway.event(third.say("none", { result: "cancelled" })));
});

test("a device that was permitted to install waits for its window when the word could not be given in it", async () => {
  const dayMs = 86_400_000;
  const tomorrowMs = Math.ceil(Date.now() / dayMs) * dayMs;
  const clock = { utcMs: tomorrowMs + 2.5 * 3_600_000 };
  const world = await stage.world(1, { utcMs: () => clock.utcMs }).open();
  const [device] = world.devices as [ExampleMeshDevice];
  await world.campaign({ windows: { apply: [{ cron: "0 2 * * *", for: "1h" }] } });
  await world.turn(clock.utcMs);
  const broadcast = transmitIn(await world.orders());
  world.gateway.usedMs = 32_400;
  await world.tell(world.gateway.event(device.say("verified")), world.gateway.end(broadcast));
  await world.turn(clock.utcMs);
  assert.match(await world.sentenceOf(0), /^waitingToApply: gateway gw-\d+ has used its 32.4 s of this hour/);
  clock.utcMs = tomorrowMs + 12 * 3_600_000;
  world.gateway.usedMs = 0;
  await world.tell();
  await world.broadcast.sweep();
  assert.deepEqual(await world.orders(), []);
  assert.match(await world.sentenceOf(0), /^waitingToApply: outside its apply window, next .*02:00 UTC$/);
  const closesAtMs = tomorrowMs + dayMs + 3 * 3_600_000;
  clock.utcMs = closesAtMs - 10_000;
  await world.broadcast.sweep();
  const [{ order }] = (await world.orders()) as [GatewayOrder];
  // What is not on air when the window closes is dropped.
  assert.equal(order.kind === "command" && order.window.untilMs, closesAtMs);
});

async function openApplyOf({ gateway }: MeshWorld): Promise<OpenApply> {
  const open = await stage.stores.mesh.gateways.openApplies();
  return open.find(({ gatewayId }) => gatewayId === gateway.id) ?? assert.fail("nobody is told to install");
}

/** A campaign whose word to install is ordered, and that is paused then. */
async function pausedAfterOrder(isTaken: boolean) {
  const { world, campaignId } = await held(2, 2);
  await world.turn();
  const before = await openApplyOf(world);
  assert.equal(before.updateIds.length, 2);
  if (isTaken) {
    world.gateway.lastOrder = before.number;
    await world.tell();
  }
  await world.engine.command(campaignId, { command: "pause", by: "ann" }, Date.now());
  await world.turn();
  const resume = () => world.engine.command(campaignId, { command: "resume", by: "ann" }, Date.now());
  return { world, resume };
}

test("a pause takes back the word to install that no gateway has; it is given after the resume", async () => {
  const { world, resume } = await pausedAfterOrder(false);
  assert.equal(await world.sentenceOf(0), "waitingToApply: the word to install was taken back");
  await world.orders();
  assert.deepEqual(installed(world), [false, false]);
  await resume();
  await world.turn();
  await world.orders();
  assert.deepEqual(installed(world), [true, true]);
});

test("a word to install that a gateway could not send within its minute is said again, but not while its campaign is paused", async () => {
  const { world, resume } = await pausedAfterOrder(true);
  assert.equal(await world.stateOf(0), "applying");
  const open = await openApplyOf(world);
  assert.ok(open.untilMs - Date.now() <= APPLY_LEASE_MS);
  const [{ order }] = (await stage.stores.mesh.gateways.openOrders(world.gateway.id, open.number - 1)) as [
    GatewayOrder,
  ];
  const commandId = order.kind === "command" ? order.commandId : "";
  await world.tell({ kind: "command", commandId, sentCount: 0, droppedCount: 1 });
  await world.turn();
  const why = `the word to install was not on air at ${world.gateway.id} in its time`;
  assert.equal(await world.sentenceOf(0), `waitingToApply: ${why}`);
  assert.deepEqual(await world.orders(), []);
  await resume();
  await world.turn();
  await world.orders();
  assert.deepEqual(installed(world), [true, true]);
});

test("a quiet device of a paused campaign is asked where it stands, and not told once more to install", async () => {
  const { world, campaignId } = await stage.begun(1, { quietMs: 0 });
  const [device] = world.devices as [ExampleMeshDevice];
  await world.tell(world.gateway.event(device.say("verified")));
  await world.turn();
  await world.orders();
  assert.ok(device.appliedName !== undefined);
  await world.tell();
  await world.engine.command(campaignId, { command: "pause", by: "ann" }, Date.now());
  device.appliedName = undefined;
  const before = device.schedules.length;
  await world.turn();
  await world.orders();
  assert.equal(device.appliedName, undefined);
  assert.ok(device.schedules.length > before);
});

test("a pause that comes while a quiet device is looked at keeps it from being told once more", async (t) => {
  const { world, campaignId } = await stage.begun(1, { quietMs: 0 });
  const [device] = world.devices as [ExampleMeshDevice];
  await world.tell(world.gateway.event(device.say("verified")));
  await world.turn();
  await world.orders();
  assert.ok(device.appliedName !== undefined);
  device.appliedName = undefined;
  const { reserveDevices } = stage.stores.mesh.devices;
  const pause = () => world.engine.command(campaignId, { command: "pause", by: "ann" }, Date.now());
  const reserved = t.mock.method(
    stage.stores.mesh.devices,
    "reserveDevices",
    async function (this: typeof stage.stores.mesh.devices, ...asked: Parameters<typeof reserveDevices>) {
      if (reserved.mock.callCount() === 0) await pause();
      return await reserveDevices.apply(this, asked);
    },
  );
  await world.broadcast.sweep();
  assert.ok(reserved.mock.callCount() > 0);
  await world.orders();
  assert.equal(device.appliedName, undefined);
});

test("a device that is left holding the image of a stopped campaign is cancelled", async () => {
  const { world, campaignId } = await held(1, 1);
  await world.turn();
  assert.equal(await world.stateOf(0), "applying");
  await world.engine.command(campaignId, { command: "stop", by: "ann" }, Date.now());
  await world.turn();
  assert.equal(await world.stateOf(0), "cancelled");
  await world.orders();
  assert.deepEqual(installed(world), [false]);
});

test("nobody is told to install while the law leaves no air for it, and each reads until when", async () => {
  const { world } = await held(2, 2);
  world.gateway.usedMs = 32_400;
  await world.tell();
  await world.turn();
  assert.match(await world.sentenceOf(1), /^waitingToApply: gateway gw-\d+ has used its 32.4 s of this hour in 868/);
  assert.deepEqual(await world.orders(), []);
  world.gateway.usedMs = 0;
  await world.tell();
  await world.broadcast.sweep();
  await world.orders();
  assert.deepEqual(installed(world), [true, true]);
});
