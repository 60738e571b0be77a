/**
 * A child process: gateways with so many devices each in one campaign, the air in virtual time and the server for real. Alone:
 * `node bench/mesh-campaign.ts [gateways] [devices of each]`.
 */
import { openScratchStores } from "@airlift/server/store/scratch-stores";
import { runMeshCampaign } from "../tests/world/mesh-campaign-world.ts";

const [gatewayCount = 10, devicesPerGateway = 1000] = process.argv.slice(2).map(Number);
const scratch = await openScratchStores();
try {
  const startedAt = performance.now();
  const { otherStates: _, ...figures } = await runMeshCampaign(scratch, {
    gatewayCount,
    devicesPerGateway,
    imageBytes: 3200,
    loss: 0.05,
    seed: 1,
  });
  const result = { ...figures, tookSeconds: (performance.now() - startedAt) / 1000 };
  if (process.send) process.send(result);
  else console.log(JSON.stringify(result));
} finally {
  await scratch.close();
}
if (process.connected) process.disconnect();
