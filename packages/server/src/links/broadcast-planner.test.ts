import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { GatewayOrder } from "@airlift/protocol/api/gateway";
import type { AirliftError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import { BroadcastDelivery } from "./broadcast-delivery.ts";
import { BroadcastStage, type MeshWorld, transmitIn } from "./broadcast-stage.ts";
import { ExampleGateway, type ExampleMeshDevice } from "./mesh-example.ts";
import { MeshReleases } from "./mesh-releases.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

/** A campaign of `world` begins: nothing goes on air, and its only gateway is why. */
async function assertUnreached(world: MeshWorld, why: string): Promise<void> {
  await world.tell();
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  assert.equal(
    await world.sentenceOf(0),
    `waiting: no gateway reaches cell of ${world.model}: ${world.gateway.id} ${why}`,
  );
}

test("while a campaign is still letting devices begin, those that have begun wait for them, but not for ever", async () => {
  for (const [mostGatherMs, counts] of [
    [undefined, [0, 3]],
    [0, [1]],
  ] as const) {
    const world = await stage.world(3, { mostGatherMs }).open();
    await world.campaign();
    await world.engine.sweep(Date.now());
    const planned: number[] = [];
    for (const limit of [1, 1000].slice(0, counts.length)) {
      for (const leased of await stage.stores.campaigns.takeOrders(Date.now(), limit)) {
        await world.broadcast.take(leased);
        await stage.stores.campaigns.orderDone(leased.target.campaignId, leased.target.endpoint, leased.order);
      }
      await world.broadcast.sweep();
      const orders = await world.orders();
      planned.push(orders.some(({ order }) => order.kind === "transmit") ? transmitIn(orders).deviceCount : 0);
    }
    assert.deepEqual(planned, counts);
  }
});

test("what the law does not allow within the time is refused with the numbers, and no gateway hears of it", async () => {
  const world = await stage.world(2, { spanMs: 60_000 }).open();
  world.gateway.usedMs = 32_000;
  await world.tell();
  await assert.rejects(
    world.door.preview(
      world.image.id,
      world.devices.map(({ deviceId }) => deviceId),
      60_000,
    ),
    (error: AirliftError) => {
      assert.equal(error.code, "AIRTIME_OVER_BUDGET");
      assert.ok(Number(error.facts["neededMs"]) > Number(error.facts["allowedMs"]));
      return true;
    },
  );
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  const { items } = await stage.stores.updates.list({ endpoint: world.devices[0]?.deviceId }, { limit: 1 });
  assert.match(
    items[0]?.sentence ?? "",
    /wants \d+\.\d s of airtime .* 868\.0-868\.6 allows 32\.4 s in each 3600\.0 s, 32\.0 s of it used/,
  );
});

test("a gateway that does not know the time is not trusted with one; when it does, the broadcast begins", async () => {
  const world = await stage.world(1).open();
  world.gateway.isClockTrusted = false;
  await assertUnreached(world, "does not know the time");
  world.gateway.isClockTrusted = true;
  await world.tell();
  await world.turn();
  assert.ok(transmitIn(await world.orders()));
});

test("no broadcast is planned for a gateway all of whose links are down, and none is spent on it", async () => {
  const world = await stage.world(1).open();
  const counts = { sentCount: 0, heardCount: 0, refusedCount: 0, healedCount: 0 };
  world.gateway.links = [{ link: "kiss:/dev/ttyUSB0", isUp: false, ...counts }];
  await assertUnreached(world, "has no link to its radio");
  world.gateway.links = [...world.gateway.links, { link: "kiss:/dev/ttyUSB1", isUp: true, ...counts }];
  await world.tell();
  await world.turn();
  assert.ok(transmitIn(await world.orders()));
});

test("a broadcast has the campaign's download windows, and none of it is outside of them", async () => {
  const world = await stage.world(1, { spanMs: 3 * 3_600_000 }).open();
  await world.campaign({ windows: { download: [{ cron: "*/10 * * * *", for: "5m" }] } });
  // Whether a window is open now is the clock's affair: begun all the same, as a campaign would a moment later.
  const { endpoint } = { endpoint: world.devices[0]?.deviceId ?? "" };
  const [held] = (await stage.stores.campaigns.list(undefined, { limit: 1 })).items;
  await stage.stores.updates.create({
    endpoint,
    imageId: world.image.id,
    by: "auto",
    apply: false,
    campaign: { id: held?.campaign.id ?? "", wave: 0, attempt: 1 },
  });
  await world.broadcast.sweep();
  const { windows } = transmitIn(await world.orders());
  assert.ok(windows.length >= 17, `${windows.length} windows`);
  for (const { fromMs, untilMs } of windows) {
    assert.ok(untilMs - fromMs <= 5 * 60_000);
    assert.ok(fromMs % 600_000 < 5 * 60_000 && (untilMs % 600_000 || 600_000) <= 5 * 60_000);
  }
});

test("a gateway does not begin while a neighbour that shares a cell broadcasts for others", async () => {
  const { world: first, order } = await stage.begun(1, { quietMs: 3_600_000 });
  const second = await stage.world(1).open();
  const near = new ExampleGateway(`near-${second.gateway.id}`);
  const { gateways } = stage.stores.mesh;
  await gateways.add({ id: near.id, cells: [`cell of ${first.model}`, `cell of ${second.model}`] });
  await second.broadcast.report(near.id, near.batch());
  second.gateway.isClockTrusted = false;
  await second.tell();
  await second.campaign();
  await second.turn();
  assert.match(await second.sentenceOf(0), new RegExp(`${near.id} shares a cell with ${first.gateway.id}, whose`));
  assert.deepEqual(await gateways.openOrders(near.id, 0), []);
  await first.tell(first.gateway.end(order));
  await first.broadcast.sweep();
  await second.broadcast.sweep();
  assert.equal(transmitIn(await gateways.openOrders(near.id, 0)).deviceCount, 1);
});

test("a gateway in a sub-band of which nothing is known yet is in nobody's way", async () => {
  const world = await stage.world(2).open();
  const ids = world.devices.map(({ deviceId }) => deviceId);
  const { gateways } = stage.stores.mesh;
  await gateways.add({ id: "typo-1", cells: ["far"], band: "900-901" });
  assert.equal((await world.door.preview(world.image.id, ids, 86_400_000)).sessions[0]?.gatewayId, world.gateway.id);
  // It is heard, and sends elsewhere: still nothing is known of the sub-band that it was added with.
  await world.broadcast.report("typo-1", new ExampleGateway("typo-1").batch());
  assert.equal((await world.door.preview(world.image.id, ids, 86_400_000)).sessions.length, 1);
  await gateways.remove("typo-1");
});

test("an image that cannot be packed keeps its own devices waiting, with the reason, and nobody else", async () => {
  const world = await stage.world(1).open();
  const [device] = world.devices as [ExampleMeshDevice];
  const { stores } = stage;
  const { id: imageId } = world.image;
  await stores.updates.create({ endpoint: device.deviceId, imageId, by: "auto", apply: true });
  const releases = new MeshReleases(stores, join(import.meta.filename, "no folder"));
  const broadcast = new BroadcastDelivery({ stores, releases, log: pino({ level: "silent" }), gatherMs: 0 });
  await broadcast.sweep();
  assert.equal(await world.sentenceOf(0), "waiting: the image's file cannot be written");
  await world.broadcast.sweep();
  assert.equal(transmitIn(await world.orders()).deviceCount, 1);
});

test("a group whose numbers are used up keeps no other group waiting, and its devices say why they wait", async () => {
  const spent = await stage.world(1).open();
  const other = await stage.world(1).open();
  const { devices } = stage.stores.mesh;
  const { groupId = "" } = (await devices.get(spent.devices[0]?.deviceId ?? "")) ?? {};
  await assert.rejects(devices.reserveGroup(groupId, 2 ** 24), { code: "FSEQ_EXHAUSTED" });
  for (const world of [spent, other]) {
    const [device] = world.devices as [ExampleMeshDevice];
    const { id: imageId } = world.image;
    await stage.stores.updates.create({ endpoint: device.deviceId, imageId, by: "auto", apply: true });
  }
  await spent.broadcast.sweep();
  assert.equal(transmitIn(await other.orders()).deviceCount, 1);
  assert.equal(await spent.sentenceOf(0), `waiting: the group ${groupId} has used up its numbers and needs a new key`);
  await devices.rotate(groupId);
  await spent.broadcast.sweep();
  assert.equal(transmitIn(await spent.orders()).deviceCount, 1);
});

test("a gateway that sends in another sub-band than it is planned for takes no part, and its operator is told once", async () => {
  const world = await stage.world(1).open();
  const batch = () => {
    const { state, reports } = world.gateway.batch();
    return { state: { ...state, ledgers: state.ledgers.map((ledger) => ({ ...ledger, band: "wired" })) }, reports };
  };
  for (let i = 0; i < 2; i += 1)
    assert.equal((await world.broadcast.report(world.gateway.id, batch())).band, "868.0-868.6");
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  const why = `${world.gateway.id} sends in wired, and is planned for 868.0-868.6`;
  assert.equal(await world.sentenceOf(0), `waiting: no gateway reaches cell of ${world.model}: ${why}`);
  const { items } = await stage.stores.events.list({}, { limit: 1000 });
  const told = items.filter(({ kind, facts }) => kind === "gateway.warning" && facts["gatewayId"] === world.gateway.id);
  assert.equal(told.length, 1);
});

test("a broadcast is in the way of its group in its own gateway's cells, and nowhere else; who waits reads for which one and how long", async () => {
  const world = await stage.world(3, { cells: ["north G", "south G"], gatewayCells: ["north G"], leadMs: 0 }).open();
  const south = await world.addGateway("south-g", ["south G"]);
  const [north, other, third] = world.devices as [ExampleMeshDevice, ExampleMeshDevice, ExampleMeshDevice];
  const begin = (device: ExampleMeshDevice, imageId = world.image.id) =>
    stage.stores.updates.create({ endpoint: device.deviceId, imageId, by: "auto", apply: true });
  await begin(north);
  await world.broadcast.sweep();
  const first = transmitIn(await world.orders());
  await begin(other);
  await begin(third);
  await world.broadcast.sweep();
  assert.equal(transmitIn(await world.orders(south)).deviceCount, 1);
  assert.deepEqual(await world.orders(), []);
  const blocked = new RegExp(
    `^waiting: broadcast ${first.sessionId} by ${world.gateway.id} to the same group is under way, until about \\d\\d:\\d\\d UTC$`,
  );
  assert.match(await world.sentenceOf(2), blocked);
  await world.tell(world.gateway.end(first));
  await world.broadcast.sweep();
  assert.equal(transmitIn(await world.orders()).deviceCount, 1);
});

test("devices that no gateway reaches keep nobody else of their campaign waiting", async () => {
  const world = await stage.world(4, { cells: ["east H", "west H"], gatewayCells: ["east H"] }).open();
  await world.campaign();
  await world.turn();
  assert.equal(transmitIn(await world.orders()).deviceCount, 2);
  assert.equal(await world.sentenceOf(1), "waiting: no gateway reaches west H");
});

test("a broadcast to a group does not begin before the word to install for others of it is on air", async () => {
  const world = await stage.world(3).open();
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
  const { id: imageId } = world.image;
  await stage.stores.updates.create({ endpoint: third.deviceId, imageId, by: "auto", apply: false });
  await world.broadcast.sweep();
  assert.equal(await world.sentenceOf(2), `waiting: ${world.gateway.id} tells the group to install the image before`);
  const [{ order: apply }] = (await world.orders()) as [GatewayOrder];
  const commandId = apply.kind === "command" ? apply.commandId : "";
  await world.tell({ kind: "command", commandId, sentCount: 1, droppedCount: 0 });
  await world.broadcast.sweep();
  assert.equal(transmitIn(await world.orders()).deviceCount, 1);
});

test("no broadcast begins while the law leaves no air for its schedules; its devices read when it will", async () => {
  const world = await stage.world(1).open();
  world.gateway.usedMs = 32_400;
  await world.tell();
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  assert.match(
    await world.sentenceOf(0),
    /^waiting: gateway gw-\d+ has used its 32.4 s of this hour in 868\.0-868\.6, next room at \d\d:\d\d UTC$/,
  );
  world.gateway.usedMs = 0;
  await world.tell();
  await world.broadcast.sweep();
  assert.equal(transmitIn(await world.orders()).deviceCount, 1);
});
