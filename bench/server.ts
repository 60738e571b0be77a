/** The server as a whole: registrations renewed over CoAP with the store on, and the store by itself. */
import { measureCampaignStore } from "./campaign-store.ts";
import { startChild } from "./children.ts";
import type { BenchRow, Figures } from "./report.ts";
import { measureStore } from "./store.ts";

const SECONDS = 3;
const DEVICE_COUNT = 1000;

async function renewals(): Promise<Figures> {
  const server = startChild("registration-server.ts");
  try {
    const port = await server.next<number>();
    const load = startChild("registration-load.ts", [String(port), String(SECONDS), String(DEVICE_COUNT)]);
    await load.next();
    server.send("usage");
    const before = await server.next<{ cpuSeconds: number }>();
    const figures = await load.next<{ requestsPerSecond: number; count: number; lost: number }>();
    server.send("usage");
    const after = await server.next<{ cpuSeconds: number; rssBytes: number }>();
    const serverCpuMicroseconds = ((after.cpuSeconds - before.cpuSeconds) * 1e6) / figures.count;
    return { updatesPerSecond: figures.requestsPerSecond, serverCpuMicroseconds, lost: figures.lost };
  } finally {
    server.send("stop");
    await server.ended;
  }
}

export const SERVER_ROWS: readonly BenchRow[] = [
  { name: "airlift: registration updates, store on", group: "LwM2M", compare: "updatesPerSecond", measure: renewals },
  {
    name: "airlift: the store by itself",
    group: "store",
    compare: "registrationRenewalsPerSecond",
    measure: async () => ({ ...(await measureStore()) }),
  },
  ...[100_000, 1_000_000].map((deviceCount) => ({
    name: `airlift: campaigns over ${deviceCount} devices`,
    group: "campaigns",
    compare: "startsPerSecond",
    measure: () => measureCampaignStore(deviceCount),
  })),
];
