/**
 * DTLS on loopback: handshakes and requests on our server and on OpenSSL's in libcoap, under one load; idle sessions.
 * Rows are compared by what a second of the server's CPU does: the load itself is DTLS, and takes as much as the server.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { startChild } from "./children.ts";
import { loadOn } from "./coap.ts";
import type { BenchRow, Figures } from "./report.ts";

const SECONDS = 3;
const LIBCOAP = "/usr/bin/coap-server-openssl";
const CCM = "TLS_PSK_WITH_AES_128_CCM_8";
const GCM = "TLS_PSK_WITH_AES_128_GCM_SHA256";

type Mode = "handshakes" | "requests";

interface Measured {
  readonly perSecond: number;
  readonly count: number;
  readonly failedCount: number;
}

/** Runs the load; CPU time is that of the server alone. */
async function underLoad(mode: Mode, suite: string, port: number, cpuSeconds: () => Promise<number>): Promise<Figures> {
  const window = mode === "handshakes" ? 32 : 64;
  const load = startChild("dtls-load.ts", [mode, suite, String(port), String(SECONDS), String(window)]);
  await load.next();
  const before = await cpuSeconds();
  const { perSecond, count, failedCount } = await load.next<Measured>();
  const used = (await cpuSeconds()) - before;
  const cpuMicroseconds = (used * 1e6) / count;
  return mode === "handshakes"
    ? { handshakesPerSecond: perSecond, handshakesPerCpuSecond: count / used, failedCount }
    : { requestsPerSecond: perSecond, requestsPerCpuSecond: 1e6 / cpuMicroseconds };
}

async function onOurs(mode: Mode, suite: string): Promise<Figures> {
  const server = startChild("dtls-server.ts", [suite]);
  try {
    const port = await server.next<number>();
    return await underLoad(mode, suite, port, async () => {
      server.send("usage");
      return (await server.next<{ cpuSeconds: number }>()).cpuSeconds;
    });
  } finally {
    server.stop();
  }
}

/** The load over plain UDP, with the figure that the rows over DTLS are compared by. */
async function plain(): Promise<Figures> {
  const { requestsPerSecond = 0, serverCpuMicroseconds = 0 } = await loadOn("airlift");
  return { requestsPerSecond, requestsPerCpuSecond: 1e6 / serverCpuMicroseconds };
}

async function onLibcoap(mode: Mode): Promise<Figures | undefined> {
  if (!existsSync(LIBCOAP)) return undefined;
  const port = 41_000 + (process.pid % 9_000);
  const parts = ["-A", "127.0.0.1", "-p", String(port), "-k", "sixteen octets!!", "-v", "0"];
  const server: ChildProcess = spawn(LIBCOAP, parts, { stdio: "ignore" });
  try {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return await underLoad(mode, GCM, port + 1, async () => cpuSecondsOf(server.pid));
  } finally {
    server.kill();
  }
}

/** CPU time of another process, from the system's own account (Linux: hundredths of a second). */
function cpuSecondsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function sessions(): Promise<Figures> {
  const child = startChild("dtls-sessions.ts", ["100000"]);
  return child.next<Figures>();
}

async function rebinding(): Promise<Figures> {
  return startChild("dtls-rebinding.ts", []).next<Figures>();
}

const HANDSHAKES = "DTLS handshakes with a pre-shared key";
const GET = "CoAP confirmable GET over DTLS";
const IDLE = "DTLS sessions at rest";
const ROAMING = "A download over DTLS through a gateway that changes the device's port";

export const DTLS_ROWS: readonly BenchRow[] = [
  {
    name: "OpenSSL in libcoap: PSK-GCM handshakes",
    group: HANDSHAKES,
    compare: "handshakesPerCpuSecond",
    measure: () => onLibcoap("handshakes"),
  },
  {
    name: "airlift: PSK-GCM handshakes",
    group: HANDSHAKES,
    compare: "handshakesPerCpuSecond",
    measure: () => onOurs("handshakes", GCM),
  },
  {
    name: "airlift: PSK-CCM-8 handshakes",
    group: HANDSHAKES,
    compare: "handshakesPerCpuSecond",
    measure: () => onOurs("handshakes", CCM),
  },
  { name: "airlift: plain CON GET", group: GET, compare: "requestsPerCpuSecond", measure: plain },
  {
    name: "airlift: CON GET, PSK-CCM-8",
    group: GET,
    compare: "requestsPerCpuSecond",
    measure: () => onOurs("requests", CCM),
  },
  {
    name: "airlift: CON GET, PSK-GCM",
    group: GET,
    compare: "requestsPerCpuSecond",
    measure: () => onOurs("requests", GCM),
  },
  {
    name: "OpenSSL in libcoap: CON GET, PSK-GCM",
    group: GET,
    compare: "requestsPerCpuSecond",
    measure: () => onLibcoap("requests"),
  },
  {
    name: "airlift: 100,000 idle sessions, restart with 10,000",
    group: IDLE,
    compare: "heapBytesPerSession",
    measure: sessions,
  },
  {
    name: "airlift: 2 MiB, another port every 50 blocks",
    group: ROAMING,
    compare: "handshakes",
    measure: rebinding,
  },
];
