import assert from "node:assert/strict";
import { test } from "node:test";
import { openScratchStores } from "@airlift/server/store/scratch-stores";
import { runMeshCampaign } from "./mesh-campaign-world.ts";

test("over gateways with overlapping cells and more loss than planned: all devices complete, nobody beyond the law, neighbours never on air at once", async () => {
  const scratch = await openScratchStores();
  try {
    const seed = 1;
    const figures = await runMeshCampaign(scratch, {
      gatewayCount: 3,
      devicesPerGateway: 80,
      imageBytes: 3200,
      loss: 0.1,
      plannedLoss: 0.02,
      seed,
    });
    const { floodMs: _, packetsPerChunk, ...rest } = figures;
    assert.deepEqual(rest, {
      deviceCount: 240,
      succeededCount: 240,
      otherStates: [],
      wrongImages: 0,
      violations: 0,
      collisions: 0,
      forgedTaken: 0,
    });
    assert.ok(packetsPerChunk < 3, `seed ${seed}: ${packetsPerChunk}`);
  } finally {
    await scratch.close();
  }
});
