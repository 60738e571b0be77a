/** The device's agent on loopback: pulls and pushes beside libcoap's client pulling the same, and what they cost in memory. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openScriptedServer, type ScriptedServer } from "../tests/e2e/scripted-server.ts";
import { type Child, startChild } from "./children.ts";
import { type BenchRow, type Figures, median } from "./report.ts";

const LIBCOAP = "/usr/bin/coap-client-notls";
const MIB = 2 ** 20;

interface Memory {
  readonly rssBytes: number;
  readonly heldBytes: number;
}

interface Bench {
  readonly server: ScriptedServer;
  readonly agent: Child;
}

async function withAgent<T>(run: (bench: Bench) => Promise<T>): Promise<T> {
  const server = await openScriptedServer();
  const agent = startChild("device-agent.ts", [server.uri]);
  try {
    await agent.next();
    await server.registered();
    return await run({ server, agent });
  } finally {
    agent.stop();
    await server.close();
  }
}

async function ask(agent: Child, question: "look" | "memory" | "stop"): Promise<Memory> {
  agent.send(question);
  return agent.next<Memory>();
}

/** One transfer takes a tenth of a second: a single one says little on a machine that does other things, too. */
const TRANSFERS = 7;

/** Median seconds of one of a few; the first one warms up. */
async function medianSeconds(work: () => Promise<unknown>): Promise<number> {
  await work();
  const seconds: number[] = [];
  for (let count = 0; count < TRANSFERS; count += 1) {
    const startMs = performance.now();
    await work();
    seconds.push((performance.now() - startMs) / 1000);
  }
  return median(seconds);
}

async function timed(transfer: () => Promise<unknown>): Promise<Figures> {
  return { megabytesPerSecond: MIB / 1e6 / (await medianSeconds(transfer)) };
}

async function pull({ server, agent }: Bench, uri: string): Promise<{ heldForItBytes: number }> {
  await server.write("/5/0/1", uri);
  const done = await agent.next<{ heldForItBytes: number }>();
  await server.write("/5/0/1", "");
  return done;
}

async function push({ server, agent }: Bench, image: Uint8Array): Promise<{ heldForItBytes: number }> {
  await server.push(image);
  const done = await agent.next<{ heldForItBytes: number }>();
  await server.write("/5/0/1", "");
  return done;
}

async function withImageServer<T>(run: (uri: string) => Promise<T>): Promise<T> {
  const files = startChild("coap-server.ts", ["airlift"]);
  try {
    return await run(`coap://127.0.0.1:${await files.next<number>()}`);
  } finally {
    files.stop();
  }
}

function pulls(): Promise<Figures> {
  return withImageServer((uri) => withAgent((bench) => timed(() => pull(bench, `${uri}/image`))));
}

function pushes(): Promise<Figures> {
  const image = new Uint8Array(MIB).map((_, i) => i);
  return withAgent((bench) => timed(() => push(bench, image)));
}

/** What a request of theirs takes that has nothing to carry is not counted: the start of their program. */
async function libcoapPulls(): Promise<Figures | undefined> {
  if (!existsSync(LIBCOAP)) return undefined;
  return withImageServer(async (uri) => {
    const startSeconds = await medianSeconds(() => runLibcoap(`${uri}/t`));
    const seconds = (await medianSeconds(() => runLibcoap(`${uri}/image`))) - startSeconds;
    return { megabytesPerSecond: MIB / 1e6 / seconds };
  });
}

function runLibcoap(uri: string): Promise<void> {
  const child = spawn(LIBCOAP, ["-m", "get", "-b", "1024", "-o", "/dev/null", uri], { stdio: "ignore" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => resolve());
  });
}

/** Looks at the same transfer a few times: code that is compiled meanwhile stays, and belongs to none of them. */
const LOOKS = 4;

/** What the agent holds for a transfer more than before, at the most, by the size of the image; and what it needs idle. */
async function memory(): Promise<Figures> {
  const cache = mkdtempSync(join(tmpdir(), "airlift-bench-"));
  // Types are stripped at the first start; a device that has been built, or started before, does not carry the stripper.
  process.env["NODE_COMPILE_CACHE"] = cache;
  try {
    await withAgent(async ({ agent }) => void (await ask(agent, "stop").catch(() => undefined)));
    return await withAgent(memoryOf);
  } finally {
    delete process.env["NODE_COMPILE_CACHE"];
    rmSync(cache, { recursive: true });
  }
}

async function memoryOf(bench: Bench): Promise<Figures> {
  const { server, agent } = bench;
  const { rssBytes } = await ask(agent, "memory");
  const figures: Record<string, number> = { idleRssMb: rssBytes / 1e6 };
  for (const mib of [1, 16]) {
    const image = new Uint8Array(mib * MIB).map((_, i) => i);
    server.files.set("image", { bytes: image, etag: 1 });
    const pulled = () => pull(bench, `${server.uri}/fw/image`);
    figures[`pull${mib}MibKb`] = await heldKb(agent, pulled);
    figures[`push${mib}MibKb`] = await heldKb(agent, () => push(bench, image));
  }
  return figures;
}

async function heldKb(agent: Child, transfer: () => Promise<{ heldForItBytes: number }>): Promise<number> {
  const samples: number[] = [];
  for (let looks = 0; looks < LOOKS; looks += 1) {
    await ask(agent, "look");
    samples.push((await transfer()).heldForItBytes / 1024);
  }
  return median(samples.slice(1));
}

const TRANSFER = "device, 1 MiB over CoAP";

export const DEVICE_ROWS: readonly BenchRow[] = [
  { name: "libcoap client: pull of 1 MiB", group: TRANSFER, compare: "megabytesPerSecond", measure: libcoapPulls },
  { name: "airlift agent: pull of 1 MiB", group: TRANSFER, compare: "megabytesPerSecond", measure: pulls },
  { name: "airlift agent: push of 1 MiB", group: TRANSFER, compare: "megabytesPerSecond", measure: pushes },
  { name: "airlift agent: memory", group: "device, memory", compare: "idleRssMb", measure: memory },
];
