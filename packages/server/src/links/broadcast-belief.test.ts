import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BroadcastStage } from "./broadcast-stage.ts";
import type { ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

test("a device cannot answer for another, say again what it said, or be spoken for by somebody without its key", async () => {
  const { world, order } = await stage.begun(3);
  const [first, second, third] = world.devices as [ExampleMeshDevice, ExampleMeshDevice, ExampleMeshDevice];
  const genuine = first.say("receiving", { deficit: 3 });
  const forged = { ...second.say("verified"), name: genuine.name, fseq: genuine.fseq + 5 };
  const damaged = { ...third.say("verified"), payload: "00".repeat(24) };
  const answer = await world.tell(
    world.gateway.event(genuine),
    world.gateway.event(forged),
    world.gateway.event(damaged),
  );
  assert.deepEqual(
    answer.events.map(({ deficit }) => deficit),
    [3],
  );
  assert.deepEqual(
    [await world.stateOf(0), await world.stateOf(1), await world.stateOf(2)],
    ["transferring", "waiting", "waiting"],
  );

  await world.tell(world.gateway.event(first.say("verified")));
  // As it was heard by another gateway, later.
  const replayed = await world.tell(world.gateway.event(genuine));
  assert.deepEqual(replayed.events, []);
  // What it once said under its number, it did not say under a later one.
  const renumbered = await world.tell(world.gateway.event({ ...genuine, fseq: genuine.fseq + 9 }));
  assert.deepEqual(renumbered.events, []);
  assert.equal(await world.stateOf(0), "waitingToApply");
  assert.equal(order.deviceCount, 3);
});

test("a batch that comes twice is taken once, and answered both times", async () => {
  const { world } = await stage.begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const batch = world.gateway.batch(world.gateway.event(device.say("receiving", { deficit: 9 })));
  const first = await world.broadcast.report(world.gateway.id, batch);
  await world.tell(world.gateway.event(device.say("verified")));
  const again = await world.broadcast.report(world.gateway.id, batch);
  assert.deepEqual(again.events, first.events);
  assert.equal(again.takenNumber, first.takenNumber + 1);
  assert.equal(first.events[0]?.deficit, 9);
  assert.equal(await world.stateOf(0), "waitingToApply");
});

test("done is done only with the new version", async () => {
  const { world } = await stage.begun(2);
  const [liar, honest] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  honest.version = [2, 0, 1];
  await world.tell(world.gateway.event(liar.say("confirmed")), world.gateway.event(honest.say("confirmed")));
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["failed wrongVersion", "succeeded"]);
});

test("done with another result than success is none, and neither is a success that follows a failure", async () => {
  const { world } = await stage.begun(2);
  const [unsure, liar] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  unsure.version = [2, 0, 1];
  const lie = liar.say("confirmed");
  liar.version = [2, 0, 1];
  await world.tell(
    world.gateway.event(unsure.say("confirmed", { result: "initial" })),
    world.gateway.event(lie),
    world.gateway.event(liar.say("confirmed")),
  );
  await world.tell(world.gateway.event(unsure.say("confirmed")));
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["failed wrongVersion", "failed wrongVersion"]);
  assert.equal(await world.sentenceOf(0), "failed: the device calls it done with the result initial, not success");
});

test("what a device says of another content changes nothing of its update", async () => {
  const { world } = await stage.begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  device.version = [2, 0, 1];
  const name = Uint8Array.of(0xfe, 1, 2, 3, 4, 5);
  await world.tell(
    world.gateway.event(device.say("confirmed", { name })),
    world.gateway.event(device.say("none", { name, result: "integrityFailed" })),
    world.gateway.event(device.say("rolledBack", { name })),
  );
  assert.equal(await world.stateOf(0), "waiting");
});

test("an event that comes twice in one batch is heard once", async () => {
  const { world } = await stage.begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const said = world.gateway.event(device.say("receiving", { deficit: 4 }));
  assert.equal((await world.tell(said, said)).events.length, 1);
});

test("what a device says of its failure is the update's", async () => {
  const { world } = await stage.begun(2);
  const [wrong, back] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(
    world.gateway.event(wrong.say("none", { result: "integrityFailed" })),
    world.gateway.event(back.say("rolledBack", { result: "failed" })),
  );
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["failed integrityFailed", "fellBack"]);
});

test("a gateway cannot end the broadcast of another", async () => {
  const { order } = await stage.begun(1);
  const stranger = await stage.world(0).open();
  const end = stranger.gateway.end(order, "failed");
  assert.ok(end.kind === "end");
  stranger.gateway.sessions = [end.progress];
  await stranger.tell({ kind: "progress", progress: end.progress }, end);
  const kept = await stage.stores.mesh.sessions.get(order.sessionId);
  assert.deepEqual([kept?.endedAt, kept?.progress], [null, null]);
});

test("packets that are missing are those of the campaign's image, not of an earlier one", async () => {
  const { world, campaignId } = await stage.begun(2);
  const [device] = world.devices as [ExampleMeshDevice];
  const deficits = async () => (await stage.stores.mesh.sessions.broadcastOf(campaignId))?.deficits;
  assert.deepEqual(await deficits(), { none: 0, to4: 0, to16: 0, to64: 0, more: 0, unheard: 2 });
  await world.tell(world.gateway.event(device.say("receiving", { deficit: 9 })));
  await world.turn();
  assert.deepEqual(await deficits(), { none: 0, to4: 0, to16: 1, to64: 0, more: 0, unheard: 1 });
});
