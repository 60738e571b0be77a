/**
 * A real gateway and a real server with PostgreSQL, and the statuses of so many devices all at once: what the gateway holds in memory, and
 * how soon the console has them. Alone: `node bench/mesh-gateway.ts [devices]`.
 */
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { postOf } from "@airlift/cli/client";
import { followEvents } from "@airlift/cli/event-feed";
import { encodeKiss } from "@airlift/gateway/links/kiss";
import { Campaign } from "@airlift/protocol/api/campaign";
import { Gateway, MeshDevice } from "@airlift/protocol/api/mesh";
import { pageOf, Update } from "@airlift/protocol/api/schemas";
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

export async function measureGateway(deviceCount: number): Promise<Figures> {
  const database = await startScratchDatabase();
  const stage = await Stage.open(["--no-auth", "--log-level", "warn", "--database-url", database.url]);
  const modem = await openModem();
  const stop = new AbortController();
  try {
    const devices = Array.from({ length: deviceCount }, (_, i) => new ExampleMeshDevice(`meter-${i}`, i));
    await takeIn(stage, devices);
    await stage.client.call("gateways", Gateway, postOf({ id: "mast", cells: ["east"] }));
    const gateway = startGateway(stage, modem.port);
    await until("the gateway is heard", async () => (await mast(stage)).state?.isClockTrusted === true);
    const idleMb = rssMb(gateway, "VmRSS");
    const campaign = await begin(stage, deviceCount);
    const feed = followEvents(stage.client, { of: { campaignId: campaign.id }, signal: stop.signal });
    const seen = countVerified(feed, deviceCount);
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
  const left = devices.values();
  const worker = async () => {
    for (const { label: payload } of left) {
      const { manufacturer, model } = NAME;
      const device = { payload, manufacturer, model, version: "1.0.0", cell: "east" };
      await stage.client.call("mesh/devices", MeshDevice, postOf(device));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function startGateway(stage: Stage, port: number): number {
  const link = ["--link", `kiss+tcp://127.0.0.1:${port}`, "--network-key", Buffer.from(NETWORK_KEY).toString("hex")];
  const data = ["--data", `${stage.folder}/mast`, "--log-level", "warn"];
  const gateway = stage.programs.start("mast", ["gateway", "--server", stage.url, "--id", "mast", ...link, ...data]);
  return gateway.pid as number;
}

/** A campaign for all, until the gateway has its orders. */
async function begin(stage: Stage, deviceCount: number): Promise<Campaign> {
  const image = await stage.addImage(NAME.version, 3200, NAME.model);
  const spec = {
    name: "all",
    image: image.id,
    targets: { query: `model==${NAME.model}` },
    caps: { inFlight: 100_000 },
  };
  const campaign = await stage.client.call("campaigns", Campaign, postOf(spec));
  await stage.client.call(`campaigns/${campaign.id}/submit`, Campaign, { method: "POST" });
  await stage.client.call(`campaigns/${campaign.id}/start`, Campaign, { method: "POST" });
  await until(
    `the gateway has the orders for ${deviceCount}`,
    async () => (await mast(stage)).state?.sessions.length === 1,
    10,
  );
  return campaign;
}

const mast = (stage: Stage): Promise<Gateway> => stage.client.call("gateways/mast", Gateway);

/** Resolves when as many devices are told of as having the image. */
async function countVerified(
  feed: AsyncGenerator<{ kind: string; updateId: string | null; facts: Record<string, unknown> }>,
  wanted: number,
) {
  const verified = new Set<string>();
  for await (const { kind, updateId, facts } of feed) {
    if (kind === "update.transition" && facts["state"] === "waitingToApply") verified.add(`${updateId}`);
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

if (import.meta.main) console.log(await measureGateway(Number(process.argv[2] ?? 10_000)));
