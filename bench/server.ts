/** The server as a whole: registrations renewed over CoAP with the store on, and the store by itself. */
import { measureRestart, measureStarts, measureThreshold } from "./campaign-run.ts";
import { measureCampaignStore } from "./campaign-store.ts";
import { startChild } from "./children.ts";
import { measureLeshan } from "./leshan.ts";
import type { BenchRow, Figures } from "./report.ts";
import { measureStore } from "./store.ts";

const SECONDS = 3;
const DEVICE_COUNT = 1000;
const FLEET_SIZE = 100_000;
/** Long enough for some hundred answers. */
const LATENCY_SECONDS = 5;
/** Of the device that floods. */
const FLOOD_PER_SECOND = 2_000;

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
      serverCpuSeconds: after.cpuSeconds - before.cpuSeconds,
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

/**
 * How long a good device waits for the answers to its updates, alone and while another floods. Both keep their rates
 * whatever the answers are. Alone is measured before and after, of which the worse counts: the machine is shared.
 */
async function flood(what: string): Promise<Figures> {
  const server = startChild("registration-server.ts", ["gated"]);
  try {
    const port = await server.next<number>();
    const before = await latencies(port);
    const bad = startChild("flood-load.ts", [
      String(port),
      String(LATENCY_SECONDS + 4),
      String(FLOOD_PER_SECOND),
      what,
    ]);
    await bad.next();
    const flooded = await latencies(port);
    const { perSecond } = await bad.next<{ perSecond: number }>();
    await bad.ended;
    const after = await latencies(port);
    const aloneP99Ms = Math.max(before.p99Ms, after.p99Ms);
    return {
      aloneP50Ms: Math.max(before.p50Ms, after.p50Ms),
      aloneP99Ms,
      floodedP50Ms: flooded.p50Ms,
      floodedP99Ms: flooded.p99Ms,
      floodedByAlone: flooded.p99Ms / aloneP99Ms,
      floodPerSecond: perSecond,
      goodLost: flooded.lost + flooded.refused,
    };
  } finally {
    server.send("stop");
    await server.ended;
  }
}

interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
  readonly lost: number;
}

async function latencies(port: number): Promise<Latencies> {
  const good = startChild("latency-load.ts", [String(port), String(LATENCY_SECONDS)]);
  const figures = await good.next<Latencies>();
  await good.ended;
  return figures;
}

export const SERVER_ROWS: readonly BenchRow[] = [
  {
    name: "airlift: registration updates, store on",
    group: "LwM2M",
    compare: "updatesPerSecond",
    limits: { perServerCpuSecond: { least: 15_000 } },
    measure: () => renewals(DEVICE_COUNT),
  },
  {
    name: "Leshan's server libraries: the same, in memory",
    group: "LwM2M",
    compare: "updatesPerSecond",
    measure: () => measureLeshan({ seconds: SECONDS, deviceCount: DEVICE_COUNT }),
  },
  {
    name: "airlift: registration updates of 100,000 devices",
    group: "LwM2M fleet updates",
    compare: "updatesPerSecond",
    limits: { perServerCpuSecond: { least: 15_000 } },
    measure: () => renewals(FLEET_SIZE),
  },
  {
    name: "airlift: confirmable notifications, store on",
    group: "LwM2M notifications",
    compare: "notificationsPerSecond",
    limits: { perServerCpuSecond: { least: 20_000 } },
    measure: notifications,
  },
  {
    name: "airlift: 100,000 registrations restored, idle, expired",
    group: "LwM2M fleet",
    compare: "restoreSeconds",
    limits: {
      restoreSeconds: { most: 5 },
      rssMb: { most: 600 },
      expirySeconds: { most: 5 },
      expiryRecordedSeconds: { most: 5 },
    },
    measure: fleet,
  },
  ...["registrations", "updates", "sends", "notifications", "garbage"].map((what) => ({
    name: `airlift: a good device while a bad one floods with ${what}`,
    group: `LwM2M flood of ${what}`,
    compare: "floodedP99Ms",
    limits: { floodedByAlone: { most: 2 }, goodLost: { most: 0 } },
    measure: () => flood(what),
  })),
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
    limits: {
      createMs: { most: deviceCount / 50 },
      listP99Ms: { most: 100 },
      crowdReportP99Ms: { most: 100 },
    },
    measure: () => measureCampaignStore(deviceCount),
  })),
  {
    name: "airlift: a campaign's devices taken from start to end",
    group: "campaigns run",
    compare: "startsPerMinute",
    limits: { startsPerMinute: { least: 2_000 } },
    measure: measureStarts,
  },
  {
    name: "airlift: a threshold that is crossed in a crowd of 100",
    group: "campaigns threshold",
    compare: "reactionMs",
    limits: { reactionMs: { most: 100 } },
    measure: measureThreshold,
  },
  {
    name: "airlift: a server killed in mid-campaign, started again",
    group: "campaigns restart",
    compare: "restartMs",
    limits: { restartMs: { most: 2_000 }, lostCount: { most: 0 }, twiceCount: { most: 0 } },
    measure: measureRestart,
  },
];
