/**
 * A real gateway and a real server with PostgreSQL, and the statuses of so many devices all at once: what the gateway holds in memory, and
 * how soon the console has them. Alone: `node bench/mesh-gateway.ts [devices]`.
 */
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { postOf } from "@airlift/cli/client";
import { encodeKiss } from "@airlift/gateway/links/kiss";
import { Gateway, MeshDevice } from "@airlift/protocol/api/mesh";
import { type Event, pageOf, Update } from "@airlift/protocol/api/schemas";
import { fromHex } from "@airlift/protocol/lib/bytes";
import { contentUri, nameOf } from "@airlift/protocol/zmesh/content-name";
import { encodeFrame } from "@airlift/protocol/zmesh/frame";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { ExampleMeshDevice } from "@airlift/server/links/mesh-example";
import { startScratchDatabase } from "@airlift/server/store/scratch-database";
import type { z } from "zod";
import { Stage, until } from "../tests/journeys/stage.ts";
import type { Figures } from "./report.ts";

const Page = pageOf(Update);
type Page = z.infer<typeof Page>;
const NETWORK_KEY = new Uint8Array(16).fill(0x4e);
const NAME = { manufacturer: "Airlift", model: "TH-100", version: "2.0.0", hardware: [] };
/** Requests under way at once while the devices are taken in. */
const AT_ONCE = 32;

async function measureGateway(deviceCount: number): Promise<Figures> {
  const database = await startScratchDatabase();
  const stage = await Stage.open(["--no-auth", "--log-level", "warn", "--database-url", database.url]);
  const modem = await openModem();
  const stop = new AbortController();
  try {
    const devices = Array.from({ length: deviceCount }, (_, i) => new ExampleMeshDevice(`meter-${i}`, i));
    await takeIn(stage, devices);
    await begin(stage, devices);
    await stage.client.call("gateways", Gateway, postOf({ id: "mast", cells: ["east"] }));
    const gateway = startGateway(stage, modem.port);
    await until("the gateway is heard", async () => (await mast(stage)).state !== null, 5);
    const idleMb = rssMb(gateway, "VmRSS");
    // A schedule and a key for each device: so many orders before the broadcast itself.
    await until("the gateway has its orders", async () => (await mast(stage)).state?.sessions.length === 1, 5);
    const seen = countVerified(stage.url, deviceCount, stop.signal);
    const name = nameOf(contentUri({ ...NAME }), zmeshCrypto);
    const frames = devices.map((device) => {
      const { fseq, payload } = device.say("verified", { name });
      const frame = { kind: "event", ttl: 0, isProxied: false, name: device.channel.name, fseq } as const;
      const octets = fromHex(payload) ?? new Uint8Array();
      return encodeKiss(encodeFrame({ ...frame, payload: octets }, { networkKey: NETWORK_KEY, crypto: zmeshCrypto }));
    });
    const startedAt = performance.now();
    modem.say(Buffer.concat(frames));
    await seen;
    const consoleSeconds = (performance.now() - startedAt) / 1000;
    await until("the API lists them", async () => (await listedCount(stage)) === deviceCount);
    return {
      deviceCount,
      consoleSeconds,
      consoleSecondsAtMost: 5,
      listedSeconds: (performance.now() - startedAt) / 1000,
      gatewayIdleMb: idleMb,
      gatewayPeakMb: rssMb(gateway, "VmHWM"),
      gatewayMbAtMost: 120,
    };
  } finally {
    stop.abort();
    modem.close();
    await stage.close();
    await database.stop();
  }
}

async function takeIn(stage: Stage, devices: readonly ExampleMeshDevice[]): Promise<void> {
  const { manufacturer, model } = NAME;
  await forEach(devices, ({ label: payload }) =>
    stage.client.call(
      "mesh/devices",
      MeshDevice,
      postOf({ payload, manufacturer, model, version: "1.0.0", cell: "east" }),
    ),
  );
}

function startGateway(stage: Stage, port: number): number {
  const link = ["--link", `kiss+tcp://127.0.0.1:${port}`, "--network-key", Buffer.from(NETWORK_KEY).toString("hex")];
  const data = ["--data", `${stage.folder}/mast`, "--log-level", "warn"];
  const gateway = stage.programs.start("mast", ["gateway", "--server", stage.url, "--id", "mast", ...link, ...data]);
  return gateway.pid as number;
}

/** An update for each, which waits for a gateway: so that all are in one broadcast. They are held, not installed. */
async function begin(stage: Stage, devices: readonly ExampleMeshDevice[]): Promise<void> {
  const { id: imageId } = await stage.addImage(NAME.version, 3200, NAME.model);
  await forEach(devices, ({ deviceId: endpoint }) =>
    stage.client.call("updates", Update, postOf({ endpoint, imageId, apply: false })),
  );
}

async function forEach<Item>(items: readonly Item[], act: (item: Item) => Promise<unknown>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const mast = (stage: Stage): Promise<Gateway> => stage.client.call("gateways/mast", Gateway);

/** Resolves when as many updates are told of as having the image, on the feed that the console follows. */
async function countVerified(url: string, wanted: number, signal: AbortSignal): Promise<void> {
  const { body } = await fetch(`${url}/api/v1/events`, { signal });
  const verified = new Set<string>();
  let rest = "";
  for await (const text of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const { kind, updateId, facts } = JSON.parse(line.slice(6)) as Event;
      if (kind === "update.transition" && facts["state"] === "waitingToApply") verified.add(`${updateId}`);
    }
    if (verified.size === wanted) return;
  }
}

/** Devices that have the image, as the API lists their updates. */
async function listedCount(stage: Stage): Promise<number> {
  let count = 0;
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const more = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page = await stage.client.call(`updates?limit=1000${more}`, Page);
    count += page.items.filter(({ state }) => state === "waitingToApply" || state === "applying").length;
    cursor = page.next;
  }
  return count;
}

/** A line of /proc/PID/status, in MB. */
function rssMb(pid: number, line: "VmRSS" | "VmHWM"): number {
  const [, kib] = new RegExp(`^${line}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (Number(kib) * 1024) / 1e6;
}

/** A modem that hears what it is given, and passes over what it is to send. */
async function openModem() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.resume().on("error", () => {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    say: (octets: Uint8Array) => {
      for (const socket of sockets) socket.write(octets);
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

if (import.meta.main) {
  const figures = await measureGateway(Number(process.argv[2] ?? 10_000));
  if (process.send) process.send(figures);
  else console.log(figures);
  if (process.connected) process.disconnect();
}
