import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { GatewayOrder } from "@airlift/protocol/api/gateway";
import { BroadcastStage, transmitIn } from "./broadcast-stage.ts";
import { ExampleGateway, type ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

test("a device that is silent after its broadcast is asked alone, some times, and then counts as silent", async () => {
  const { world, order } = await stage.begun(2, { quietMs: 0 });
  const [talker, sleeper] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(world.gateway.event(talker.say("verified")), world.gateway.end(order));
  for (let i = 0; i < 7; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    await world.broadcast.sweep();
  }
  assert.equal(await world.stateOf(1), "silent");
  await world.orders();
  // Each time the manifest and the image, on request: whoever has them says so, whoever has not asks for them.
  assert.equal(sleeper.schedules.filter(({ updateAtMs }) => updateAtMs === 0).length, 10);
  assert.equal(talker.schedules.filter(({ updateAtMs }) => updateAtMs === 0).length, 0);
});

test("a broadcast that its gateway could not finish is repeated for those who lack the image, twice, and then given up with the reason", async () => {
  const { world, order } = await stage.begun(2, { quietMs: 0 });
  const [complete, left] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(world.gateway.event(complete.say("verified")), world.gateway.end(order, "failed"));
  for (let round = 2; round <= 3; round += 1) {
    await world.broadcast.sweep();
    const again = transmitIn(await world.orders());
    assert.notEqual(again.sessionId, order.sessionId);
    assert.equal(again.deviceCount, 1);
    assert.match(
      await world.sentenceOf(1),
      new RegExp(`^waiting: broadcast ${again.sessionId} by ${world.gateway.id} begins`),
    );
    await world.tell(world.gateway.end(again, "failed"));
  }
  await world.broadcast.sweep();
  assert.equal(await world.stateOf(1), "failed connectionLost");
  assert.equal(await world.sentenceOf(1), "failed: 3 broadcasts did not bring the whole image; the last one failed");
  assert.equal(await world.stateOf(0), "waitingToApply");
  assert.equal(left.appliedName, undefined);
});

test("who says after the broadcast that packets are missing is asked to fetch them; if it cannot, it is in another broadcast", async () => {
  const { world, order } = await stage.begun(2, { quietMs: 1 });
  const [complete, deaf] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(world.gateway.event(complete.say("verified")), world.gateway.end(order));
  await world.tell(world.gateway.event(deaf.say("repairing", { deficit: 2, receivedCount: 60 })));
  await world.broadcast.sweep();
  // Asked when nothing was heard of it already, it may be in the next broadcast as soon as it says what it lacks.
  let again: readonly GatewayOrder[] = await world.orders();
  assert.equal(deaf.schedules.filter(({ updateAtMs }) => updateAtMs === 0).length, 2);
  await world.tell(world.gateway.event(deaf.say("suspended", { deficit: 2, receivedCount: 60 })));
  while (!again.some((one) => one.order.kind === "transmit")) {
    await world.broadcast.sweep();
    again = await world.orders();
  }
  assert.equal(transmitIn(again).deviceCount, 1);
  await world.tell(world.gateway.event(deaf.say("verified")), world.gateway.end(transmitIn(again)));
  assert.equal(await world.stateOf(1), "waitingToApply");
});

test("the broadcast of a gateway that was removed is over, and another gateway that reaches the cell takes its place", async () => {
  const { world, order } = await stage.begun(1, { quietMs: 0 });
  const cell = `cell of ${world.model}`;
  await stage.stores.mesh.gateways.remove(world.gateway.id);
  const next = new ExampleGateway(`${world.gateway.id}-next`);
  await stage.stores.mesh.gateways.add({ id: next.id, cells: [cell] });
  await world.broadcast.report(next.id, next.batch());
  await world.broadcast.sweep();
  assert.deepEqual((await stage.stores.mesh.sessions.get(order.sessionId))?.detail, "its gateway was removed");
  const again = transmitIn(await stage.stores.mesh.gateways.openOrders(next.id, 0));
  assert.equal(again.deviceCount, 1);
});

test("a device is not given up for questions that the law kept from the air", async () => {
  const { world, order } = await stage.begun(1, { quietMs: 0 });
  world.gateway.usedMs = 32_400;
  await world.tell(world.gateway.end(order));
  for (let i = 0; i < 7; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    await world.broadcast.sweep();
  }
  assert.match(await world.sentenceOf(0), /^waiting: gateway gw-\d+ has used its 32.4 s of this hour/);
  assert.deepEqual(await world.orders(), []);
});
