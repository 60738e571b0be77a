import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BroadcastStage } from "./broadcast-stage.ts";
import type { ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

test("while nothing is done for a device, its update says what is true: on air, over and not heard, or no gateway", async () => {
  const { world, order } = await stage.begun(1, { quietMs: 3_600_000 });
  const progress = {
    sessionId: order.sessionId,
    state: "streaming" as const,
    part: 1,
    tallies: [],
    airtimeMs: 5,
    deficits: [],
    nextAtMs: null,
  };
  await world.tell({ kind: "progress", progress });
  await world.broadcast.sweep();
  assert.match(await world.sentenceOf(0), /^waiting: broadcast \w+ by gw-\d+ is on air/);
  await world.tell(world.gateway.end(order));
  await world.broadcast.sweep();
  assert.match(await world.sentenceOf(0), /^waiting: broadcast \w+ has ended; nothing was heard of the device since/);
});

test("a broadcast that has used up the air says so on its devices, with the gateway's own time for the next room, and that it goes on", async () => {
  const { world, order } = await stage.begun(2, { quietMs: 3_600_000 });
  const [, second] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(world.gateway.event(second.say("receiving", { deficit: 12 })));
  const progress = {
    sessionId: order.sessionId,
    state: "streaming" as const,
    part: 1,
    tallies: [],
    airtimeMs: 32_000,
    deficits: [],
    nextAtMs: Date.now() + 40 * 60_000,
  };
  world.gateway.usedMs = 32_390;
  world.gateway.sessions = [progress];
  await world.tell({ kind: "progress", progress });
  await world.broadcast.sweep();
  const spent = "gateway gw-\\d+ has used its 32.4 s of this hour in 868.0-868.6, next room at \\d\\d:\\d\\d UTC$";
  assert.match(await world.sentenceOf(0), new RegExp(`^waiting: ${spent}`));
  assert.match(await world.sentenceOf(1), new RegExp(`^transferring: ${spent}`));
  world.gateway.usedMs = 0;
  world.gateway.sessions = [{ ...progress, nextAtMs: null }];
  await world.tell();
  await world.broadcast.sweep();
  assert.match(await world.sentenceOf(0), /^waiting: broadcast \w+ by gw-\d+ is on air/);
  assert.match(await world.sentenceOf(1), /^transferring: broadcast \w+ by gw-\d+ is on air$/);
});
