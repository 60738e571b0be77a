/** A mesh for tests: a scripted server with devices' keys, a release, and receivers on real links. */
import { createHash } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { MeshDevice } from "@airlift/device/mesh/mesh-device";
import { createSlots } from "@airlift/device/node/slots";
import { WIRED_BAND } from "@airlift/gateway/edge/wired-band";
import { lossyLink } from "@airlift/gateway/links/lossy-link";
import type { RadioLink } from "@airlift/gateway/links/radio-link";
import {
  type BatchAnswer,
  type EventReport,
  type GatewayContent,
  type GatewayOrder,
  type GatewayState,
  ReportBatch,
  type SealedCommand,
  type TransmitOrder,
} from "@airlift/protocol/api/gateway";
import { concat, fromHex, toHex } from "@airlift/protocol/lib/bytes";
import type { DeviceCommand } from "@airlift/protocol/zmesh/command";
import { type CommandChannel, openStatus, sealCommand } from "@airlift/protocol/zmesh/command-channel";
import type { HeardCounts } from "@airlift/protocol/zmesh/foreign-frames";
import { AT_ONCE } from "@airlift/protocol/zmesh/instant";
import { deviceNameOf } from "@airlift/protocol/zmesh/onboarding";
import type { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import type { ReceiverStatus } from "@airlift/protocol/zmesh/receiver-types";
import { packRelease } from "@airlift/protocol/zmesh/release";
import type { StatusEvent } from "@airlift/protocol/zmesh/status-event";
import { generateSigningKey, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";

export const NETWORK_KEY = new Uint8Array(16).fill(0x4e);
export const GROUP = channelOf(0xfe_00_00_01);
const { privatePem, publicPem } = generateSigningKey();
export const TRUST_PEM = publicPem;

/** Before the first packet: a slow machine starts its gateway and tells the devices in this time. */
const DEFAULT_LEAD_MS = 10_000;

/** A channel whose octets come from a number. */
export function channelOf(number: number): CommandChannel {
  const digest = createHash("sha256").update(`${number}`).digest();
  return {
    name: deviceNameOf(`${number}`, zmeshCrypto),
    key: new Uint8Array(digest.subarray(6, 22)),
    iv: new Uint8Array(digest.subarray(22, 31)),
  };
}

/** Octets that begin with a version line. */
export function imageOf(version: string, sizeBytes: number): Uint8Array {
  const image = new Uint8Array(sizeBytes);
  for (let i = 0; i < sizeBytes; i += 1) image[i] = (i * 31 + (i >> 8)) & 0xff;
  image.set(Buffer.from(`version=${version}\n`));
  return image;
}

export interface TestRelease {
  readonly image: PackedContent;
  readonly manifest: PackedContent;
  readonly bytes: Uint8Array;
}

/** @param signingPem Of somebody else than the maker, if given. */
export function releaseOf(
  version: string,
  sizeBytes: number,
  securityCounter = 1,
  signingPem = privatePem,
): TestRelease {
  const bytes = imageOf(version, sizeBytes);
  const { image, manifest } = packRelease(
    {
      identity: { manufacturer: "ACME", model: "TH-100", version },
      image: bytes,
      signing: { key: loadSigningKey(signingPem), hardwareRevisions: [], securityCounter, gapMs: 1 },
    },
    {},
    zmeshCrypto,
  );
  if (!manifest) throw new Error("no manifest");
  return { image, manifest, bytes };
}

const ENC_NAMES = ["none", "ctr", "ccm"] as const;

/** What a gateway is told of a content, and what it fetches. */
export function gatewayContent(content: PackedContent): {
  readonly content: GatewayContent;
  readonly bytes: Uint8Array;
} {
  const payloads = Array.from({ length: content.dataCount + 2 }, (_, seq) => content.payloadAt(seq));
  const bytes = concat(payloads);
  return {
    bytes,
    content: {
      name: toHex(content.name),
      encType: ENC_NAMES[content.encType],
      repairScheme: content.end.repairScheme,
      payloadBytes: content.payloadBytes,
      dataCount: content.dataCount,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    },
  };
}

/** The server's side, without a server: gives orders, opens events. */
export class ScriptedServer {
  readonly reports: ReportBatch["reports"] = [];
  readonly events: { readonly name: string; readonly status: StatusEvent }[] = [];
  state: GatewayState | undefined;
  /** While it is away, connections are broken. */
  isAway = false;
  /** Status with which it refuses all requests. */
  refusal: number | undefined;
  readonly #orders: GatewayOrder[] = [];
  readonly #contents = new Map<string, Uint8Array>();
  readonly #channels = new Map<string, CommandChannel>();
  readonly #lastFseq = new Map<string, number>();
  readonly #feeds = new Set<ServerResponse>();
  readonly #server: Server;
  readonly #listeners = new Set<() => void>();
  #taken = 0;
  #groupFseq = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      if (this.isAway) {
        request.socket.destroy();
        return;
      }
      if (this.refusal !== undefined) {
        response.writeHead(this.refusal).end();
        return;
      }
      const [, name] = /\/contents\/([0-9a-f]{12})$/.exec(request.url ?? "") ?? [];
      if (request.url?.endsWith("/orders")) this.#feed(response, Number(request.headers["last-event-id"] ?? 0));
      else if (name !== undefined) response.end(this.#contents.get(name));
      else {
        const pieces: Buffer[] = [];
        request.on("data", (piece: Buffer) => pieces.push(piece));
        request.on("end", () => {
          response.setHeader("content-type", "application/json");
          response.end(JSON.stringify(this.#take(ReportBatch.parse(JSON.parse(Buffer.concat(pieces).toString())))));
        });
      }
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Breaks all connections until it is back. */
  goAway(): void {
    this.isAway = true;
    this.#server.closeAllConnections();
  }

  know(channel: CommandChannel): void {
    this.#channels.set(toHex(channel.name), channel);
  }

  /** Sealed for the group, under the next number. */
  seal(command: DeviceCommand, repeats = 5): SealedCommand {
    this.#groupFseq += 1;
    const payload = toHex(sealCommand({ ...GROUP, crypto: zmeshCrypto }, this.#groupFseq, command));
    return { name: toHex(GROUP.name), fseq: this.#groupFseq, payload, repeats, spacingMs: 30 };
  }

  order(order: GatewayOrder["order"]): void {
    const numbered = { number: this.#orders.length + 1, order };
    this.#orders.push(numbered);
    for (const feed of this.#feeds) writeOrder(feed, numbered);
  }

  /** Orders a whole session. */
  transmit(
    sessionId: string,
    release: TestRelease,
    changes: Partial<TransmitOrder> & { readonly gapMs?: number; readonly leadMs?: number } = {},
  ): TransmitOrder {
    const { gapMs = 1, leadMs = DEFAULT_LEAD_MS, ...rest } = changes;
    const updateAtMs = Date.now() + leadMs;
    const parts = [release.manifest, release.image].map((content) => {
      const described = gatewayContent(content);
      this.#contents.set(described.content.name, described.bytes);
      const commands = [this.seal({ kind: "schedule", schedule: content.scheduleAt(updateAtMs) })];
      return { content: described.content, updateAtMs, gapMs, commands, usesRepair: true };
    });
    const firstFseq = this.#groupFseq + 1;
    this.#groupFseq += 256;
    const [name, key, iv] = [toHex(GROUP.name), toHex(GROUP.key), toHex(GROUP.iv)];
    const order: TransmitOrder = {
      kind: "transmit",
      sessionId,
      band: WIRED_BAND.name,
      rateBps: 500_000,
      ttl: 0,
      pollChannel: { name, key, iv, firstFseq, lastFseq: this.#groupFseq },
      parts,
      deviceCount: 50,
      loss: 0.05,
      windows: [{ fromMs: Date.now() - 1_000, untilMs: Date.now() + 600_000 }],
      airtimeBudgetMs: null,
      maxPolls: 16,
      slotMs: 40,
      answersUntilMs: Date.now() + 600_000,
      ...rest,
    };
    this.order(order);
    return order;
  }

  /** Has the gateway keep a release at hand without a broadcast, and tells the group that it may be had. */
  hold(sessionId: string, { manifest, image }: TestRelease): void {
    const contents = [manifest, image].map((content) => {
      const described = gatewayContent(content);
      this.#contents.set(described.content.name, described.bytes);
      return described.content;
    });
    const common = { band: WIRED_BAND.name, rateBps: 500_000, ttl: 0 };
    const untilMs = Date.now() + 600_000;
    this.order({ kind: "hold", sessionId, ...common, contents, answersUntilMs: untilMs });
    const commands = [manifest, image].map((content) =>
      this.seal({ kind: "schedule", schedule: content.scheduleAt(AT_ONCE) }),
    );
    this.order({ kind: "command", commandId: sessionId, ...common, commands, window: { fromMs: 0, untilMs } });
  }

  /** Asks devices that lack packets to ask for them: a poll without slots. */
  invite(commandId: string, { image }: TestRelease): void {
    const poll = { name: image.name, lastRepair: 0, slotCount: 1, slotMs: 0, leastDeficit: 1 };
    // A program that has just begun may not be listening yet.
    const commands = [{ ...this.seal({ kind: "poll", poll }, 16), spacingMs: 1_000 }];
    const common = { band: WIRED_BAND.name, rateBps: 500_000, ttl: 0 };
    const window = { fromMs: 0, untilMs: Date.now() + 600_000 };
    this.order({ kind: "command", commandId, ...common, commands, window });
  }

  /** Settles as soon as `find` finds something; looked for whenever something is reported. */
  async until<Found>(find: () => Found | undefined | false): Promise<Found> {
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      await new Promise<void>((resolve) => this.#listeners.add(resolve));
    }
  }

  /** Something happened elsewhere that `until` may wait for. */
  nudge(): void {
    for (const resolve of this.#listeners) resolve();
    this.#listeners.clear();
  }

  #feed(response: ServerResponse, after: number): void {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": here\n\n");
    for (const order of this.#orders.slice(after)) writeOrder(response, order);
    this.#feeds.add(response);
    response.on("close", () => this.#feeds.delete(response));
  }

  #take({ state, reports }: ReportBatch): BatchAnswer {
    this.state = state;
    const events: BatchAnswer["events"] = [];
    for (const report of reports) {
      if (report.number > this.#taken) this.reports.push(report);
      this.#taken = Math.max(this.#taken, report.number);
      if (report.kind !== "event") continue;
      const status = this.#open(report);
      if (status) events.push({ number: report.number, content: toHex(status.name), deficit: status.deficit });
    }
    setImmediate(() => this.nudge());
    return { takenNumber: this.#taken, utcMs: Date.now(), events };
  }

  #open({ name, fseq, payload }: EventReport): StatusEvent | undefined {
    const channel = this.#channels.get(name);
    if (!channel || fseq <= (this.#lastFseq.get(name) ?? -1)) return undefined;
    const status = openStatus({ ...channel, crypto: zmeshCrypto }, fseq, fromHex(payload) ?? new Uint8Array(0));
    this.#lastFseq.set(name, fseq);
    this.events.push({ name, status });
    return status;
  }
}

function writeOrder(response: ServerResponse, order: GatewayOrder): void {
  response.write(`event: order\nid: ${order.number}\ndata: ${JSON.stringify(order)}\n\n`);
}

export interface StageDeviceOptions {
  readonly number: number;
  readonly folder: string;
  readonly open: () => Promise<RadioLink>;
  readonly loss?: number;
  readonly random?: () => number;
  readonly onStatus?: (status: ReceiverStatus) => void;
  readonly pulls?: boolean;
}

/** A device that starts again when it has to, as its supervisor would. */
export class StageDevice {
  readonly channel: CommandChannel;
  version = "";
  /** What it could not open, once it has said so. */
  foreign: HeardCounts | undefined;
  readonly #options: StageDeviceOptions;
  #device: MeshDevice | undefined;
  #link: RadioLink | undefined;

  constructor(options: StageDeviceOptions) {
    this.#options = options;
    this.channel = channelOf(options.number);
  }

  get state(): string {
    return this.#device?.receiver.state ?? "off";
  }

  async start(): Promise<void> {
    const { folder, number, open, loss = 0, random = Math.random, onStatus, pulls = false } = this.#options;
    const directory = join(folder, `device-${number}`);
    const slots = createSlots({ directory, trust: "allow-unsigned", factoryVersion: "1.0.0", describe: describeImage });
    const bootReport = await slots.boot();
    this.version = slots.version();
    this.#link = await open();
    this.#device = new MeshDevice({
      radio: loss > 0 ? lossyLink(this.#link, loss, random) : this.#link,
      channel: this.channel,
      groups: [GROUP],
      networkKey: NETWORK_KEY,
      target: { manufacturer: "ACME", model: "TH-100", hardwareRevision: "1" },
      trust: [loadPublicKey(publicPem)],
      folder: join(directory, "mesh"),
      slots,
      bootReport,
      limit: WIRED_BAND.limit,
      pulls,
      maxImageBytes: 256 * 1024,
      newsSpreadMs: 500,
      random,
      restart: () => void this.restart(),
      onForeign: (counts) => {
        this.foreign = counts;
      },
      ...(onStatus && { onStatus }),
    });
    await this.#device.start();
  }

  async restart(): Promise<void> {
    await this.close();
    await this.start();
  }

  async close(): Promise<void> {
    this.#device?.close();
    await this.#link?.close();
  }
}

async function describeImage({
  reader,
}: {
  reader: { read(offset: number, length: number): Promise<Uint8Array> | Uint8Array };
}): Promise<{ version?: string }> {
  const [, version] = /^version=(\S+)/.exec(Buffer.from(await reader.read(0, 64)).toString("latin1")) ?? [];
  return version === undefined ? {} : { version };
}
