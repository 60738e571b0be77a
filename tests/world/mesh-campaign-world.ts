/**
 * A campaign over several gateways: the real server and its database plan it and hear of it, the real transmitters and receivers do it
 * in virtual time. Nothing of a device reaches the server but its sealed events.
 */
import { join } from "node:path";
import { Readable } from "node:stream";
import type { GatewayOrder, TransmitOrder } from "@airlift/protocol/api/gateway";
import { equalBytes, toHex } from "@airlift/protocol/lib/bytes";
import { NEVER } from "@airlift/protocol/zmesh/instant";
import { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { BroadcastDelivery } from "@airlift/server/links/broadcast-delivery";
import { MeshDoor } from "@airlift/server/links/mesh-door";
import {
  commandsIn,
  ExampleGateway,
  ExampleMeshDevice,
  type NewReport,
  octets,
} from "@airlift/server/links/mesh-example";
import { MeshReleases } from "@airlift/server/links/mesh-releases";
import type { ScratchStores } from "@airlift/server/store/scratch-stores";
import { rememberKeystreams } from "@airlift/sim/mesh/keystream-cache";
import { MeshWorld, UPDATE_AT_MS } from "@airlift/sim/mesh/mesh-world";
import { countViolations } from "@airlift/sim/mesh/sliding-window";
import { seeded } from "@airlift/sim/world";
import { pino } from "pino";

export interface MeshCampaignCase {
  readonly gatewayCount: number;
  /** In the cell of each gateway's own; between two neighbours lies a cell that both are heard in. */
  readonly devicesPerGateway: number;
  readonly imageBytes: number;
  /** Share of packets that each device loses; and what the gateways, and so the plan, take it for. */
  readonly loss: number;
  readonly plannedLoss?: number;
  readonly seed: number;
}

export interface MeshCampaignFigures {
  readonly deviceCount: number;
  readonly succeededCount: number;
  readonly otherStates: readonly string[];
  readonly wrongImages: number;
  /** Windows of the law that held too much, by the checker that shares nothing with the ledger. */
  readonly violations: number;
  /** Packets that were on air at the same time as one of a neighbour's. */
  readonly collisions: number;
  readonly packetsPerChunk: number;
  /** Real time from the first event of `deviceCount` devices to the last one on record, and the longest batch. */
  readonly floodMs: number;
  readonly forgedTaken: number;
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

const LIMIT = subBandNamed("868.0-868.6")?.limit ?? { windowMs: 0, budgetMs: 0, offMs: 0 };
const MODEL = "TH-100";
const BATCH = 500;

/** One gateway's part: where its devices live in virtual time. */
interface Site {
  readonly gateway: ExampleGateway;
  readonly devices: readonly ExampleMeshDevice[];
  order?: TransmitOrder;
  world?: MeshWorld;
}

export async function runMeshCampaign(scratch: ScratchStores, of: MeshCampaignCase): Promise<MeshCampaignFigures> {
  const { stores } = scratch;
  const releases = new MeshReleases(stores, join(scratch.folder, "mesh"));
  const broadcast = new BroadcastDelivery({ stores, releases, log: pino({ level: "silent" }), gatherMs: 0 });
  const door = new MeshDoor({ stores, releases, broadcast });
  const bytes = Buffer.concat(Array.from({ length: Math.ceil(of.imageBytes / 32) }, (_, i) => octets(i, 32)));
  const name = { manufacturer: "ACME", model: MODEL, version: "2.0.0", hardware: [] };
  const { image } = await stores.images.add(Readable.from([bytes]), name);
  const sites = await openSites(of, { scratch, door });
  const tell = (site: Site, reports: readonly NewReport[]) =>
    broadcast.report(site.gateway.id, site.gateway.batch(...reports));
  for (const site of sites) await tell(site, []);

  const order = ({ deviceId: endpoint }: ExampleMeshDevice) =>
    stores.updates.create({ endpoint, imageId: image.id, by: "auto", apply: true });
  for (const { devices } of sites) await Promise.all(devices.map(order));
  await broadcast.sweep();
  for (const site of sites) await obey(scratch, site, (reports) => tell(site, reports));

  // Begin, data and parity are made of the keys that the devices were sent.
  const keys = await stores.mesh.keysOf(image.id, () => ({ key: new Uint8Array(16), iv: new Uint8Array(9) }));
  const packed = await releases.ensure(image.id);
  const content = new PackedContent({ uri: packed.image.uri, bytes, ...keys }, { applyAtMs: NEVER }, zmeshCrypto);
  for (const [i, site] of sites.entries())
    site.world = air(site, { content, bytes, gapMs: packed.gapMs, of, seed: of.seed + i });

  let forgedTaken = 0;
  const startedAt = performance.now();
  for (const site of sites) forgedTaken += await report(site, tell, () => "verified");
  const floodMs = performance.now() - startedAt;
  await broadcast.sweep();
  for (const site of sites) await obey(scratch, site, (reports) => tell(site, reports));
  for (const site of sites) {
    for (const device of site.devices) if (device.appliedName === toHex(content.name)) device.version = [2, 0, 0];
    await report(site, tell, (device) => (device.appliedName === undefined ? undefined : "confirmed"));
  }
  return { ...(await outcomes(scratch, sites, bytes)), floodMs, forgedTaken, ...lawOf(sites, content.dataCount) };
}

async function openSites(of: MeshCampaignCase, parts: { scratch: ScratchStores; door: MeshDoor }): Promise<Site[]> {
  const sites: Site[] = [];
  for (let i = 0; i < of.gatewayCount; i += 1) {
    const gateway = new ExampleGateway(`gw-${i}`);
    const cells = [`cell-${i}`, `edge-${i}`, `edge-${(i + 1) % of.gatewayCount}`];
    await parts.scratch.stores.mesh.gateways.add({ id: gateway.id, cells, loss: of.plannedLoss ?? of.loss });
    const devices = Array.from(
      { length: of.devicesPerGateway },
      (_, k) => new ExampleMeshDevice(`dev-${i}-${k}`, i * of.devicesPerGateway + k),
    );
    const onboard = ({ label: payload }: ExampleMeshDevice) =>
      parts.door.onboard({ payload, manufacturer: "ACME", model: MODEL, version: "1.0.0", cell: `cell-${i}` });
    await Promise.all(devices.map(onboard));
    sites.push({ gateway, devices });
  }
  return sites;
}

/** The gateway gets its orders, and its devices what is commanded in them; joins are answered. */
async function obey(
  scratch: ScratchStores,
  site: Site,
  tell: (reports: NewReport[]) => Promise<unknown>,
): Promise<void> {
  const { gateway, devices } = site;
  const orders: GatewayOrder[] = await scratch.stores.mesh.gateways.openOrders(gateway.id, gateway.lastOrder);
  gateway.lastOrder = orders.at(-1)?.number ?? gateway.lastOrder;
  for (const { order } of orders) if (order.kind === "transmit") site.order = order;
  const byName = new Map(devices.map((device) => [toHex(device.channel.name), device]));
  const answers: NewReport[] = [];
  for (const command of orders.flatMap(commandsIn)) {
    const own = byName.get(command.name);
    for (const device of own === undefined ? devices : [own]) {
      const status = device.hear(command);
      if (status !== undefined) answers.push(gateway.event(device.seal(status)));
    }
  }
  for (let at = 0; at < answers.length; at += BATCH) await tell(answers.slice(at, at + BATCH));
}

interface Air {
  readonly content: PackedContent;
  readonly bytes: Uint8Array;
  readonly gapMs: number;
  readonly of: MeshCampaignCase;
  readonly seed: number;
}

/** The broadcast, until nothing more happens. */
function air(site: Site, { content, bytes, gapMs, of: { loss, plannedLoss = loss }, seed }: Air): MeshWorld {
  const { windows } = site.order as TransmitOrder;
  const offsetMs = offsetOf(site);
  const receivers = site.devices.map(() => ({ losses: { kind: "independent" as const, loss } }));
  const world = new MeshWorld({
    content,
    image: bytes,
    crypto: rememberKeystreams(zmeshCrypto),
    random: seeded(seed),
    limit: LIMIT,
    gapMs,
    windows: windows.map(({ fromMs, untilMs }) => ({ fromMs: fromMs - offsetMs, untilMs: untilMs - offsetMs })),
    loss: plannedLoss,
    receivers,
    scratchBytes: 8 * 2048,
  });
  world.run(24 * 3_600_000);
  return world;
}

/** What devices say, batch by batch, with a forged event in each. @returns Forged ones that were answered as if they were genuine. */
async function report(
  site: Site,
  tell: (site: Site, reports: readonly NewReport[]) => Promise<{ events: readonly unknown[] }>,
  detailOf: (device: ExampleMeshDevice) => "verified" | "confirmed" | undefined,
): Promise<number> {
  let forgedTaken = 0;
  const ready = site.devices.filter((_, i) => site.world?.nodes[i]?.record.state === "verified");
  for (let at = 0; at < ready.length; at += BATCH - 1) {
    const batch = ready.slice(at, at + BATCH - 1).flatMap((device): NewReport[] => {
      const detail = detailOf(device);
      return detail === undefined ? [] : [site.gateway.event(device.say(detail))];
    });
    const [first] = ready as [ExampleMeshDevice];
    const forged = { ...first.say("rolledBack"), name: toHex(site.devices.at(-1)?.channel.name ?? first.channel.name) };
    const { events } = await tell(site, [...batch, site.gateway.event(forged)]);
    forgedTaken += events.length - batch.length;
  }
  const { order } = site;
  if (order !== undefined) await tell(site, [site.gateway.end(order)]);
  return forgedTaken;
}

async function outcomes({ stores }: ScratchStores, sites: readonly Site[], bytes: Uint8Array) {
  const states = new Map<string, number>();
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await stores.updates.list({}, { limit: 1000, ...(cursor !== undefined && { cursor }) });
    for (const { state } of page.items) states.set(state, (states.get(state) ?? 0) + 1);
    cursor = page.next;
  }
  const nodes = sites.flatMap(({ world }) => world?.nodes ?? []);
  return {
    deviceCount: nodes.length,
    succeededCount: states.get("succeeded") ?? 0,
    otherStates: [...states.keys()].filter((state) => state !== "succeeded"),
    wrongImages: nodes.filter(({ slot }) => !equalBytes(slot.bytes.subarray(0, bytes.length), bytes)).length,
  };
}

/** Unix time at which the site's world shows 0: its broadcast of the image begins when the order says. */
const offsetOf = ({ order }: Site): number => (order?.parts[1]?.updateAtMs ?? 0) - UPDATE_AT_MS;

/** Both in the order of time. */
function overlapsOf(ones: readonly Span[], others: readonly Span[]): number {
  let count = 0;
  let at = 0;
  for (const { fromMs, untilMs } of ones) {
    while ((others[at]?.untilMs ?? Number.POSITIVE_INFINITY) <= fromMs) at += 1;
    if ((others[at]?.fromMs ?? Number.POSITIVE_INFINITY) < untilMs) count += 1;
  }
  return count;
}

/** Every site's air on the clock of the day. */
function lawOf(sites: readonly Site[], dataCount: number) {
  const spans = sites.map((site) => {
    const { world } = site;
    const offsetMs = offsetOf(site);
    return (world?.onAir ?? []).map(({ startMs, airtimeMs }) => ({
      fromMs: startMs + offsetMs,
      untilMs: startMs + offsetMs + airtimeMs,
    }));
  });
  let collisions = 0;
  for (const [i, one] of spans.entries()) {
    const next = spans[(i + 1) % spans.length] ?? [];
    if (next !== one) collisions += overlapsOf(one, next);
  }
  const violations = sites.reduce((sum, { world }) => sum + countViolations(world?.onAir ?? [], LIMIT), 0);
  const sent = sites.reduce(
    (sum, { world }) => sum + (world?.sentSeqs.filter((seq) => seq !== 0 && seq !== dataCount + 1).length ?? 0),
    0,
  );
  return { collisions, violations, packetsPerChunk: sent / (sites.length * dataCount) };
}
