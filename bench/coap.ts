/** CoAP over UDP on loopback: the same load on a bare echo, our server and others, and block-wise pulls from ours. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { type Child, startChild } from "./children.ts";
import type { BenchRow, Figures } from "./report.ts";

interface Usage {
  cpuSeconds: number;
  rssBytes: number;
  /** What is in use on the heap and in buffers; after a collection when `held` was asked for. */
  heldBytes: number;
}

const SECONDS = 3;
const WINDOW = 64;
/** Of 1024 octets, in 1 MiB. */
const BLOCKS = 1_024;
const LIBCOAP = "/usr/bin/coap-server-notls";

async function usageOf(server: Child, what: "usage" | "held" = "usage"): Promise<Usage> {
  server.send(what);
  return server.next<Usage>();
}

/** Plain confirmable GETs on one of `coap-server.ts`'s servers. */
export async function loadOn(name: string): Promise<Figures> {
  const server = startChild("coap-server.ts", [name]);
  try {
    const port = await server.next<number>();
    const load = startChild("coap-load.ts", [String(port), String(SECONDS), String(WINDOW)]);
    await load.next();
    const before = await usageOf(server);
    const figures = await load.next<{ requestsPerSecond: number; count: number; lost: number }>();
    const { cpuSeconds } = await usageOf(server);
    const serverCpuMicroseconds = ((cpuSeconds - before.cpuSeconds) * 1e6) / figures.count;
    return { requestsPerSecond: figures.requestsPerSecond, serverCpuMicroseconds, lost: figures.lost };
  } finally {
    server.stop();
  }
}

async function loadOnLibcoap(): Promise<Figures | undefined> {
  if (!existsSync(LIBCOAP)) return undefined;
  const port = 40_000 + (process.pid % 10_000);
  const server: ChildProcess = spawn(LIBCOAP, ["-A", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
  try {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const load = startChild("coap-load.ts", [String(port), String(SECONDS), String(WINDOW)]);
    await load.next();
    const before = cpuSecondsOf(server.pid);
    const figures = await load.next<{ requestsPerSecond: number; count: number; lost: number }>();
    const serverCpuMicroseconds = ((cpuSecondsOf(server.pid) - before) * 1e6) / figures.count;
    return { requestsPerSecond: figures.requestsPerSecond, serverCpuMicroseconds, lost: figures.lost };
  } finally {
    server.kill();
  }
}

/** CPU time of another process, from the system's own account (Linux: hundredths of a second). */
function cpuSecondsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function pulls(parallel: number, sockets: number): Promise<Figures> {
  const server = startChild("coap-server.ts", ["airlift"]);
  try {
    const port = await server.next<number>();
    const client = startChild("coap-pull.ts", [String(port), String(parallel), String(sockets)]);
    await client.next();
    const before = await usageOf(server, "held");
    const result = client.next<{ megabytesPerSecond: number; blocksPerSecond: number; retransmissionCount: number }>();
    const [figures, rssPeakBytes] = await Promise.all([result, peakDuring(result, server)]);
    const { cpuSeconds } = await usageOf(server);
    const { heldBytes } = await usageOf(server, "held");
    return {
      ...figures,
      serverCpuMicrosecondsPerBlock: ((cpuSeconds - before.cpuSeconds) * 1e6) / (parallel * BLOCKS),
      rssBeforeMb: before.rssBytes / 1e6,
      rssPeakMb: rssPeakBytes / 1e6,
      heldBeforeMb: before.heldBytes / 1e6,
      heldAfterMb: heldBytes / 1e6,
    };
  } finally {
    server.stop();
  }
}

/** The largest resident size of `server` until `work` is done, looked at four times a second. */
async function peakDuring(work: Promise<unknown>, server: Child): Promise<number> {
  let isDone = false;
  const done = work.then(
    () => {
      isDone = true;
    },
    () => {
      isDone = true;
    },
  );
  let peakBytes = 0;
  while (!isDone) {
    peakBytes = Math.max(peakBytes, (await usageOf(server)).rssBytes);
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 250))]);
  }
  return peakBytes;
}

const GET = "CoAP confirmable GET";
const PULL = "CoAP block-wise pulls of 1 MiB";

export const COAP_ROWS: readonly BenchRow[] = [
  { name: "bare node:dgram echo", group: GET, compare: "requestsPerSecond", measure: () => loadOn("echo") },
  { name: "airlift: CON GET", group: GET, compare: "requestsPerSecond", measure: () => loadOn("airlift") },
  { name: "node-coap: CON GET", group: GET, compare: "requestsPerSecond", measure: () => loadOn("node-coap") },
  { name: "libcoap server: CON GET", group: GET, compare: "requestsPerSecond", measure: loadOnLibcoap },
  { name: "airlift: 1 pull of 1 MiB", group: PULL, compare: "blocksPerSecond", measure: () => pulls(1, 1) },
  { name: "airlift: 32 parallel pulls", group: PULL, compare: "blocksPerSecond", measure: () => pulls(32, 32) },
  { name: "airlift: 1000 parallel pulls", group: PULL, compare: "blocksPerSecond", measure: () => pulls(1000, 100) },
];
