/** CoAP over UDP on loopback: the same load on a bare echo, our server and others, and block-wise pulls from ours. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { type Child, startChild } from "./children.ts";
import type { BenchRow, Figures } from "./report.ts";

interface Usage {
  cpuSeconds: number;
  rssBytes: number;
}

const SECONDS = 3;
const WINDOW = 64;
const LIBCOAP = "/usr/bin/coap-server-notls";

async function usageOf(server: Child): Promise<Usage> {
  server.send("usage");
  return server.next<Usage>();
}

async function loadOn(name: string): Promise<Figures> {
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
    const before = await usageOf(server);
    let peakBytes = before.rssBytes;
    const result = client.next<{ megabytesPerSecond: number; blocksPerSecond: number; retransmissionCount: number }>();
    const watching = (async () => {
      let isDone = false;
      void result
        .finally(() => {
          isDone = true;
        })
        .catch(() => {});
      while (!isDone) {
        peakBytes = Math.max(peakBytes, (await usageOf(server)).rssBytes);
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    })();
    const figures = await result;
    await watching;
    const after = await usageOf(server);
    const serverCpuMicroseconds = ((after.cpuSeconds - before.cpuSeconds) * 1e6) / (parallel * 1024);
    const megabytes = (bytes: number): number => bytes / 1e6;
    const memory = {
      rssBeforeMb: megabytes(before.rssBytes),
      rssPeakMb: megabytes(peakBytes),
      rssAfterMb: megabytes(after.rssBytes),
    };
    return { ...figures, serverCpuMicrosecondsPerBlock: serverCpuMicroseconds, ...memory };
  } finally {
    server.stop();
  }
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
