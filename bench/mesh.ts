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

/** In a process of its own: it makes and follows tens of thousands of requests. */
async function gateway(deviceCount: number): Promise<Figures> {
  const child = startChild("mesh-gateway.ts", [`${deviceCount}`]);
  const figures = await child.next<Figures>();
  await child.ended;
  return figures;
}

export const MESH_ROWS: readonly BenchRow[] = [
  {
    name: "mesh campaign: 10 gateways × 1,000 devices",
    group: "mesh campaign",
    compare: "tookSeconds",
    measure: () => campaign(10, 1000),
  },
  {
    name: "mesh gateway: status of 10,000 devices at the console, and memory",
    group: "mesh gateway",
    compare: "consoleSeconds",
    measure: () => gateway(10_000),
  },
];
