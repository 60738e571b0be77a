/** The server as a whole: registrations renewed over CoAP with the store on, and the store by itself. */
import { measureRestart, measureStarts, measureThreshold } from "./campaign-run.ts";
import { measureCampaignStore } from "./campaign-store.ts";
import { startChild } from "./children.ts";
import type { BenchRow, Figures } from "./report.ts";
import { measureStore } from "./store.ts";

const SECONDS = 3;
const DEVICE_COUNT = 1000;
const FLEET_SIZE = 100_000;

async function renewals(deviceCount: number): Promise<Figures> {
  const server = startChild("registration-server.ts");
  try {
    const port = await server.next<number>();
    const load = startChild("registration-load.ts", [String(port), String(SECONDS), String(deviceCount)]);
    await load.next();
    server.send("usage");
    const before = await server.next<{ cpuSeconds: number }>();
    const figures = await load.next<{ requestsPerSecond: number; count: number; lost: number }>();
    server.send("usage");
    const after = await server.next<{ cpuSeconds: number; rssBytes: number }>();
    const serverCpuMicroseconds = ((after.cpuSeconds - before.cpuSeconds) * 1e6) / figures.count;
    return {
      updatesPerSecond: figures.requestsPerSecond,
      perServerCpuSecond: 1e6 / serverCpuMicroseconds,
      serverCpuMicroseconds,
      rssMb: after.rssBytes / 1e6,
      lost: figures.lost,
    };
  } finally {
    server.send("stop");
    await server.ended;
  }
}

/** Confirmable, each of which the server acknowledges; counted where they arrive. */
async function notifications(): Promise<Figures> {
  const server = startChild("registration-server.ts");
  try {
    const port = await server.next<number>();
    server.send("observe");
    const load = startChild("notification-load.ts", [String(port), String(SECONDS), "16"]);
    await load.next();
    await load.next();
    server.send("usage");
    const before = await server.next<{ cpuSeconds: number; notified: number }>();
    const figures = await load.next<{ count: number; perSecond: number; lost: number }>();
    server.send("usage");
    const after = await server.next<{ cpuSeconds: number; notified: number }>();
    const count = after.notified - before.notified;
    const serverCpuMicroseconds = ((after.cpuSeconds - before.cpuSeconds) * 1e6) / count;
    return {
      notificationsPerSecond: figures.perSecond,
      perServerCpuSecond: 1e6 / serverCpuMicroseconds,
      serverCpuMicroseconds,
      lost: figures.lost,
    };
  } finally {
    server.send("stop");
    await server.ended;
  }
}

/** Restart, idle memory and mass expiry, from the store on: no datagram is involved. */
async function fleet(): Promise<Figures> {
  const server = startChild("fleet-server.ts", [String(FLEET_SIZE)]);
  const figures = await server.next<Record<string, number>>();
  await server.ended;
  return figures;
}

/** How long a good device waits for the answers to its updates, alone and while another floods with what is refused. */
async function flood(): Promise<Figures> {
  const server = startChild("registration-server.ts");
  try {
    const port = await server.next<number>();
    const alone = await latencies(port);
    const bad = startChild("flood-load.ts", [String(port), "6"]);
    await bad.next();
    const flooded = await latencies(port);
    bad.stop();
    return {
      aloneP50Ms: alone.p50Ms,
      aloneP99Ms: alone.p99Ms,
      floodedP50Ms: flooded.p50Ms,
      floodedP99Ms: flooded.p99Ms,
    };
  } finally {
    server.send("stop");
    await server.ended;
  }
}

async function latencies(port: number): Promise<{ p50Ms: number; p99Ms: number }> {
  const good = startChild("latency-load.ts", [String(port), String(SECONDS)]);
  const figures = await good.next<{ p50Ms: number; p99Ms: number }>();
  await good.ended;
  return figures;
}

export const SERVER_ROWS: readonly BenchRow[] = [
  {
    name: "airlift: registration updates, store on",
    group: "LwM2M",
    compare: "updatesPerSecond",
    measure: () => renewals(DEVICE_COUNT),
  },
  {
    name: "airlift: registration updates of 100,000 devices",
    group: "LwM2M",
    compare: "updatesPerSecond",
    measure: () => renewals(FLEET_SIZE),
  },
  {
    name: "airlift: confirmable notifications, store on",
    group: "LwM2M notifications",
    compare: "notificationsPerSecond",
    measure: notifications,
  },
  {
    name: "airlift: 100,000 registrations restored, idle, expired",
    group: "LwM2M fleet",
    compare: "restoreSeconds",
    measure: fleet,
  },
  {
    name: "airlift: a good device while a bad one floods",
    group: "LwM2M flood",
    compare: "floodedP99Ms",
    measure: flood,
  },
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
  {
    name: "airlift: a campaign's devices taken from start to end",
    group: "campaigns run",
    compare: "startsPerMinute",
    measure: measureStarts,
  },
  {
    name: "airlift: a threshold that is crossed in a crowd of 100",
    group: "campaigns threshold",
    compare: "reactionMs",
    measure: measureThreshold,
  },
  {
    name: "airlift: a server killed in mid-campaign, started again",
    group: "campaigns restart",
    compare: "restartMs",
    measure: measureRestart,
  },
];
