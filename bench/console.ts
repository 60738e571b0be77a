/**
 * The console in a real Chromium against a real server: what the first page weighs, how 100,000 devices scroll, how soon an
 * event is seen, and whether memory grows. Alone: `node bench/console.ts [--minutes 1] [--devices 100000]`.
 */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { parseArgs } from "node:util";
import { METHOD } from "@airlift/protocol/coap/codes";
import { encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import { OPTION, pathOptions, queryOptions, uintOption } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { openDatabase } from "@airlift/server/store/database";
import { startScratchDatabase } from "@airlift/server/store/scratch-database";
import { sql } from "kysely";
import type { CDPSession, Page } from "playwright-core";
import { Stage } from "../tests/journeys/stage.ts";
import { type BenchRow, type Figures, formatTable, measureRows, median } from "./report.ts";

export interface ConsoleBenchOptions {
  readonly deviceCount: number;
  /** How long 50 events a second come. */
  readonly minutes: number;
}

/** The whole of it once; it takes `minutes` and about one more. */
export async function measureConsole({ deviceCount, minutes }: ConsoleBenchOptions): Promise<Figures> {
  const database = await startScratchDatabase();
  const stage = await Stage.open(["--no-auth", "--database-url", database.url]);
  const socket = createSocket("udp4");
  try {
    stage.startFleet(1);
    await stage.untilRegistered(1);
    await seed(database.url, deviceCount);
    const register = registrar(socket, stage.coapPort);
    return {
      ...(await measureFirstPage(stage)),
      ...(await measureScrolling(stage)),
      ...(await measureLatency(stage, register)),
      ...(await measureMemory(stage, register, minutes)),
    };
  } finally {
    socket.close();
    await stage.close();
    await database.stop();
  }
}

/** As many devices as are wanted, each like the one that is there. */
async function seed(url: string, count: number): Promise<void> {
  const { tables, close } = openDatabase(url);
  await sql`
    insert into devices
    select made.* from devices, generate_series(1, ${count - 1}) as n,
      jsonb_populate_record(devices, jsonb_build_object(
        'endpoint', 'meter-' || lpad(n::text, 7, '0'), 'registration_id', 'seed-' || n,
        'version', '1.' || (n % 5) || '.0', 'node_id', null)) as made`.execute(tables);
  await sql`analyze devices`.execute(tables);
  await close();
}

/** What the W3C's Long Tasks call long. */
const LONG_TASK_MS = 50;

type Register = (endpoint: string) => void;

/** Registers devices that answer nothing (LwM2M 1.1 Transport §6.4.1). */
function registrar(socket: Socket, port: number): Register {
  let messageId = randomBytes(2).readUInt16BE();
  return (endpoint) => {
    messageId = (messageId + 1) & 0xffff;
    const datagram = encodeMessage({
      type: MESSAGE_TYPE.confirmable,
      code: METHOD.post,
      messageId,
      token: Uint8Array.of(messageId >> 8, messageId & 0xff),
      options: [
        ...pathOptions("/rd"),
        uintOption(OPTION.contentFormat, 40),
        ...queryOptions(`ep=${endpoint}&lt=86400&lwm2m=1.1&b=U`),
      ],
      payload: encodeUtf8("</1/0>"),
    });
    socket.send(datagram, port, "127.0.0.1");
  };
}

/** What crosses the line until the overview is whole, compressed; and when it is, in a browser that has nothing of it. */
async function measureFirstPage(stage: Stage): Promise<Figures> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < 5; round += 1) {
    const page = await stage.view("about:blank");
    const session = await page.context().newCDPSession(page);
    bytes = 0;
    session.on("Network.loadingFinished", ({ encodedDataLength }) => {
      bytes += encodedDataLength;
    });
    await session.send("Network.enable");
    await page.goto(stage.url);
    await page.getByRole("progressbar").first().waitFor();
    times.push((await page.evaluate("performance.now()")) as number);
    await page.close();
  }
  return { firstPageKiB: bytes / 1024, interactiveMs: median(times) };
}

/**
 * From the first to the last device in steps of a third of the window, and what kept the page from drawing meanwhile: by
 * the clock, and by the processor's time alone, which other programs of the machine do not lengthen.
 */
async function measureScrolling(stage: Stage): Promise<Figures> {
  const page = await stage.view("/devices");
  await page.getByRole("row").nth(20).waitFor();
  await settle(page);
  const browser = page.context().browser();
  await browser?.startTracing(page, { categories: ["toplevel"] });
  const figures = (await page.evaluate(SCROLL)) as Figures;
  const trace = await browser?.stopTracing();
  await page.close();
  return { ...figures, ...(trace && taskTimes(trace)) };
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Time that the thread ran, µs. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** The tasks of the page's thread by what they took of the processor. */
function taskTimes(trace: Buffer): Figures {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: readonly TraceEvent[] };
  const places = traceEvents.filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain");
  const timesOf = ({ pid, tid }: TraceEvent) =>
    traceEvents.flatMap((one) => (one.pid === pid && one.tid === tid ? [(one.tdur ?? 0) / 1000] : []));
  // Of the pages that are there, the one that scrolled has worked.
  const busiest = places.map(timesOf).toSorted((a, b) => sumOf(b) - sumOf(a))[0] ?? [];
  return {
    longTaskCpuCount: busiest.filter((ms) => ms > LONG_TASK_MS).length,
    longestTaskCpuMs: busiest.reduce((most, ms) => Math.max(most, ms), 0),
  };
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const SCROLL = `new Promise((resolve) => {
  const tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask" });
  const grid = document.querySelector("[role=grid]");
  const startMs = performance.now();
  let frameCount = 0;
  const step = () => {
    frameCount += 1;
    grid.scrollTop += 300 + 40 * Math.min(frameCount, 200);
    const isAtEnd = grid.scrollTop + grid.clientHeight >= grid.scrollHeight - 2;
    if (!isAtEnd) return requestAnimationFrame(step);
    const waitForRows = () => {
      const isHere = grid.querySelector(".coming") === null;
      if (!isHere && performance.now() - startMs < 120000) return setTimeout(waitForRows, 100);
      resolve({
        scrolledRowCount: Math.round(grid.scrollHeight / 36),
        scrollFps: frameCount / ((endMs - startMs) / 1000),
        longTaskCount: tasks.length,
        longestTaskMs: Math.max(0, ...tasks),
        lastRowsMs: performance.now() - startMs,
      });
    };
    const endMs = performance.now();
    waitForRows();
  };
  requestAnimationFrame(step);
})`;

/** From a device's datagram until its line stands on the device's page. */
async function measureLatency(stage: Stage, register: Register): Promise<Figures> {
  register("late");
  const page = await stage.view("/");
  await page.waitForTimeout(1000);
  await page.goto("/devices/late");
  await page.getByText("the device registered").first().waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  await page.exposeFunction("seen", () => onSeen?.());
  let onSeen: (() => void) | undefined;
  await page.evaluate(`new MutationObserver((changes) => {
    if (changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.textContent?.includes("the device registered")))) seen();
  }).observe(document.querySelector("main"), { childList: true, subtree: true })`);
  const times: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const startMs = performance.now();
    const seen = new Promise<void>((resolve) => {
      onSeen = resolve;
    });
    register("late");
    await Promise.race([seen, page.waitForTimeout(5000)]);
    times.push(performance.now() - startMs);
    await page.waitForTimeout(500);
  }
  await page.close();
  return { eventSeenMs: median(times), slowestEventSeenMs: Math.max(...times) };
}

const EVENTS_PER_SECOND = 50;
/** Few enough for the timeline that is open to be as long as it gets before the measuring begins. */
const BUSY_COUNT = 4;

/** What the page holds after garbage was collected, minute by minute; a device page's timeline and the feed are open. */
async function measureMemory(stage: Stage, register: Register, minutes: number): Promise<Figures> {
  const page = await stage.view("/devices/busy-1");
  const session = await page.context().newCDPSession(page);
  let sent = 0;
  const timer = setInterval(() => {
    sent += 1;
    register(`busy-${sent % BUSY_COUNT}`);
  }, 1000 / EVENTS_PER_SECOND);
  try {
    await page.waitForTimeout(3000);
    await page.goto("/devices/busy-1");
    // The timeline keeps its last lines: until it is full it grows as it should.
    await page.waitForTimeout(45_000);
    const heaps = [await heapMiB(session)];
    const firstId = await newestEvent(stage);
    for (let minute = 1; minute <= minutes; minute += 1) {
      await page.waitForTimeout(60_000);
      heaps.push(await heapMiB(session));
      process.stderr.write(`minute ${minute}: ${heaps.at(-1)?.toFixed(2)} MiB\n`);
    }
    return {
      eventsPerSecond: ((await newestEvent(stage)) - firstId) / (minutes * 60),
      heapMiB: median(heaps),
      mostHeapMiB: Math.max(...heaps),
      heapGrowthKiBPerMinute: 1024 * slopeOf(heaps),
    };
  } finally {
    clearInterval(timer);
    await page.close();
  }
}

/** By how much the values rise from one to the next, by least squares. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const products = values.map((value, at) => (at - middle) * value).reduce((sum, one) => sum + one, 0);
  return products / values.map((_, at) => (at - middle) ** 2).reduce((sum, one) => sum + one, 0);
}

/** The id of the newest event; they have no gaps to speak of. */
async function newestEvent(stage: Stage): Promise<number> {
  const answer = await fetch(`${stage.url}/api/v1/devices/busy-1/events?limit=1`);
  const { items } = (await answer.json()) as { items: { id: number }[] };
  return items[0]?.id ?? 0;
}

/** What a first collection lets go of may hold what only a later one takes. */
async function heapMiB(session: CDPSession): Promise<number> {
  for (let round = 0; round < 3; round += 1) await session.send("HeapProfiler.collectGarbage");
  return (await session.send("Runtime.getHeapUsage")).usedSize / 2 ** 20;
}

/** Until nothing more is fetched for a moment. */
const settle = async (page: Page): Promise<void> => await page.waitForTimeout(1500);

/** What an operator was promised. */
const LIMITS = {
  firstPageKiB: { most: 300 },
  interactiveMs: { most: 1500 },
  longTaskCount: { most: 0 },
  longTaskCpuCount: { most: 0 },
  eventSeenMs: { most: 500 },
  slowestEventSeenMs: { most: 500 },
  // A tenth of what the page holds, in ten minutes.
  heapGrowthKiBPerMinute: { most: 70 },
};

const rowOf = (options: ConsoleBenchOptions): BenchRow => ({
  name: `console in Chromium, ${options.deviceCount.toLocaleString("en")} devices`,
  group: "console",
  compare: "interactiveMs",
  limits: LIMITS,
  measure: () => measureConsole(options),
});

export const CONSOLE_ROWS: readonly BenchRow[] = [rowOf({ deviceCount: 100_000, minutes: 1 })];

if (import.meta.main) {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "1" }, devices: { type: "string", default: "100000" } },
  });
  const options = { deviceCount: Number(values.devices), minutes: Number(values.minutes) };
  console.log(formatTable(await measureRows([rowOf(options)], 1)));
}
