import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BroadcastStage } from "./broadcast-stage.ts";

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
