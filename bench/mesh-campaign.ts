/** `node bench/mesh-campaign.ts [devices of each gateway]`: 10 gateways × 1,000 devices in one campaign, the air in virtual time and the server for real. */
import { openScratchStores } from "@airlift/server/store/scratch-stores";
import { runMeshCampaign } from "../tests/world/mesh-campaign-world.ts";

const scratch = await openScratchStores();
try {
  const startedAt = performance.now();
  const figures = await runMeshCampaign(scratch, {
    gatewayCount: 10,
    devicesPerGateway: Number(process.argv[2] ?? 1000),
    imageBytes: 3200,
    loss: 0.05,
    seed: 1,
  });
  console.log(JSON.stringify({ ...figures, tookMs: Math.round(performance.now() - startedAt) }));
} finally {
  await scratch.close();
}
