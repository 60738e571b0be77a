import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pino } from "pino";
import { BroadcastCancel } from "./broadcast-cancel.ts";
import { BroadcastStage, transmitIn } from "./broadcast-stage.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

const canceller = () => new BroadcastCancel({ stores: stage.stores, utcMs: Date.now, log: pino({ level: "silent" }) });

test("a campaign that is stopped leaves the air at each of its gateways, though one of them was removed", async () => {
  const cells = ["first cell", "second cell", "third cell"];
  const world = await stage.world(3, { cells, gatewayCells: ["first cell"] }).open();
  const others = [
    await world.addGateway("other-1", ["second cell"]),
    await world.addGateway("other-2", ["third cell"]),
  ];
  const campaignId = await world.campaign();
  await world.turn();
  const gateways = [world.gateway, ...others];
  for (const gateway of gateways) transmitIn(await world.orders(gateway));
  const { mesh } = stage.stores;
  const removed = (await mesh.sessions.open())[0]?.gatewayId ?? assert.fail("no broadcast is under way");
  await mesh.gateways.remove(removed);
  await canceller().silence(campaignId);
  for (const gateway of gateways) {
    if (gateway.id === removed) continue;
    const kinds = (await world.orders(gateway)).map(({ order }) => order.kind);
    assert.deepEqual(kinds, ["cancel"], gateway.id);
  }
});

test("a broadcast leaves the air though its group cannot be told, for want of numbers", async () => {
  const { world, campaignId, order } = await stage.begun(1);
  const { mesh } = stage.stores;
  const { groupId = "" } = (await mesh.devices.get(world.devices[0]?.deviceId ?? "")) ?? {};
  await assert.rejects(mesh.devices.reserveGroup(groupId, 2 ** 24), { code: "FSEQ_EXHAUSTED" });
  await canceller().silence(campaignId);
  const [{ order: cancel } = assert.fail("nothing was ordered")] = await world.orders();
  assert.deepEqual(cancel.kind === "cancel" && [cancel.sessionId, cancel.commands], [order.sessionId, []]);
});
