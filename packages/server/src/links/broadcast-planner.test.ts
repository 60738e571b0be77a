import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { AirliftError } from "@airlift/protocol/lib/errors";
import { BroadcastStage, transmitIn } from "./broadcast-stage.ts";
import { ExampleGateway } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

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
  await world.tell();
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  assert.equal(
    await world.sentenceOf(0),
    `waiting: no gateway reaches cell of ${world.model}: ${world.gateway.id} does not know the time`,
  );
  world.gateway.isClockTrusted = true;
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
  await gateways.remove("typo-1");
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
