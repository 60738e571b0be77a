/** Meshes at scale. Each row prints the limit that it has to keep beside what was measured. */
import { startChild } from "./children.ts";
import type { BenchRow, Figures } from "./report.ts";

async function campaign(gatewayCount: number, devicesPerGateway: number): Promise<Figures> {
  const child = startChild("mesh-campaign.ts", [`${gatewayCount}`, `${devicesPerGateway}`]);
  const { deviceCount = 0, succeededCount = 0, ...figures } = await child.next<Figures>();
  await child.ended;
  return {
    deviceCount,
    completePercent: (100 * succeededCount) / deviceCount,
    completePercentAtLeast: 100,
    ...figures,
    violationsAtMost: 0,
    collisionsAtMost: 0,
  };
}

export const MESH_ROWS: readonly BenchRow[] = [
  {
    name: "mesh campaign: 10 gateways × 1,000 devices",
    group: "mesh campaign",
    compare: "tookSeconds",
    measure: () => campaign(10, 1000),
  },
];
