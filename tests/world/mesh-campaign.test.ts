import assert from "node:assert/strict";
import { test } from "node:test";
import { openScratchStores } from "@airlift/server/store/scratch-stores";
import { runMeshCampaign } from "./mesh-campaign-world.ts";

test("a campaign over gateways with overlapping cells: all devices complete, nobody beyond the law, neighbours never at once", async () => {
  const scratch = await openScratchStores();
  try {
    const seed = 1;
    const figures = await runMeshCampaign(scratch, {
      gatewayCount: 3,
      devicesPerGateway: 20,
      imageBytes: 3200,
      loss: 0.05,
      seed,
    });
    const { floodMs: _, packetsPerChunk, ...rest } = figures;
    assert.deepEqual(rest, {
      deviceCount: 60,
      succeededCount: 60,
      otherStates: [],
      wrongImages: 0,
      violations: 0,
      collisions: 0,
      forgedTaken: 0,
    });
    assert.ok(packetsPerChunk < 1.4, `seed ${seed}: ${packetsPerChunk}`);
  } finally {
    await scratch.close();
  }
});
