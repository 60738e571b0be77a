/** A server's half of a mesh on a scratch database, with scripted gateways and devices, for tests. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Readable } from "node:stream";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import type { GatewayOrder, TransmitOrder } from "@airlift/protocol/api/gateway";
import type { Image } from "@airlift/protocol/api/schemas";
import type { AirliftError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import { CampaignEngine } from "../campaign/engine.ts";
import { compilePolicy } from "../campaign/policy.ts";
import type { MeshReport } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import { openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { BroadcastDelivery, type BroadcastOptions } from "./broadcast-delivery.ts";
import { MeshDoor } from "./mesh-door.ts";
import { commandsIn, ExampleGateway, ExampleMeshDevice, type NewReport, octets } from "./mesh-example.ts";
import { MeshReleases } from "./mesh-releases.ts";

/** One database for all the worlds of a test file. */
export class BroadcastStage {
  readonly #scratch: ScratchStores;
  #worldCount = 0;

  private constructor(scratch: ScratchStores) {
    this.#scratch = scratch;
  }

  static async open(): Promise<BroadcastStage> {
    const scratch = await openScratchStores({ node: { name: "a" } });
    await scratch.stores.nodes.join();
    return new BroadcastStage(scratch);
  }

  get stores(): Stores {
    return this.#scratch.stores;
  }

  get databaseUrl(): string {
    return this.#scratch.database.url;
  }

  /** Open it before use. */
  world(deviceCount: number, options: WorldOptions = {}): MeshWorld {
    this.#worldCount += 1;
    return new MeshWorld(this.#scratch, { number: this.#worldCount, deviceCount }, options);
  }

  /** One campaign's broadcast, ordered and heard. */
  async begun(deviceCount: number, options: WorldOptions = {}) {
    const world = await this.world(deviceCount, options).open();
    const campaignId = await world.campaign();
    await world.turn();
    const order = transmitIn(await world.orders());
    return { world, campaignId, order, name: order.parts[1]?.content.name ?? "" };
  }

  close(): Promise<void> {
    return this.#scratch.close();
  }
}

export interface WorldOptions extends Partial<BroadcastOptions> {
  /** Where the devices are, in turn. Default: one cell of the world's own. */
  readonly cells?: readonly string[];
  /** Default: all of them. */
  readonly gatewayCells?: readonly string[];
}

/** A model of its own with so many devices, a gateway that hears them, and a campaign's engine. */
export class MeshWorld {
  readonly model: string;
  readonly cells: readonly string[];
  readonly gateway: ExampleGateway;
  readonly devices: readonly ExampleMeshDevice[];
  readonly bytes: Buffer;
  readonly reports: MeshReport[] = [];
  readonly broadcast: BroadcastDelivery;
  readonly door: MeshDoor;
  readonly engine: CampaignEngine;
  readonly #stores: Stores;
  readonly #gatewayCells: readonly string[];
  image!: Image;

  constructor(
    { stores, folder }: ScratchStores,
    { number, deviceCount }: { readonly number: number; readonly deviceCount: number },
    { cells, gatewayCells, ...options }: WorldOptions,
  ) {
    this.#stores = stores;
    this.model = `TH-${number}`;
    this.cells = cells ?? [`cell of ${this.model}`];
    this.#gatewayCells = gatewayCells ?? this.cells;
    this.gateway = new ExampleGateway(`gw-${number}`);
    const ids = Array.from({ length: deviceCount }, (_, i) => i);
    this.devices = ids.map((i) => new ExampleMeshDevice(`${this.model}.${i}`, number * 10_000 + i));
    this.bytes = Buffer.concat(Array.from({ length: 100 }, (_, i) => octets(number * 1000 + i, 32)));
    this.engine = new CampaignEngine(stores.campaigns, () => 0);
    const releases = new MeshReleases(stores, join(folder, "mesh"));
    this.broadcast = new BroadcastDelivery({
      stores,
      releases,
      log: pino({ level: "silent" }),
      gatherMs: 0,
      onTransition: (report) => void this.reports.push(report),
      ...options,
    });
    this.door = new MeshDoor({ stores, releases, broadcast: this.broadcast });
  }

  async open(version = "2.0.1"): Promise<this> {
    const name = { manufacturer: "ACME", model: this.model, version, hardware: [] };
    this.image = (await this.#stores.images.add(Readable.from([this.bytes]), name)).image;
    await this.#stores.mesh.gateways.add({ id: this.gateway.id, cells: [...this.#gatewayCells] });
    for (const [i, { label: payload }] of this.devices.entries()) {
      const cell = this.cells[i % this.cells.length] as string;
      await this.door.onboard({ payload, manufacturer: "ACME", model: this.model, version: "1.0.0", cell });
    }
    await this.tell();
    return this;
  }

  /** Another gateway, which is heard. */
  async addGateway(id: string, cells: readonly string[]): Promise<ExampleGateway> {
    await this.#stores.mesh.gateways.add({ id, cells: [...cells] });
    const gateway = new ExampleGateway(id);
    await this.tellBy(gateway);
    return gateway;
  }

  /** What the world's gateway tells; resolves when what it sets off is over as well. */
  tell(...reports: readonly NewReport[]) {
    return this.tellBy(this.gateway, ...reports);
  }

  async tellBy(gateway: ExampleGateway, ...reports: readonly NewReport[]) {
    const answer = await this.broadcast.report(gateway.id, gateway.batch(...reports));
    await this.broadcast.settle();
    return answer;
  }

  /** Orders that a gateway has not seen; its devices hear what they command, and answer. */
  async orders(gateway = this.gateway): Promise<GatewayOrder[]> {
    const orders = await this.#stores.mesh.gateways.openOrders(gateway.id, gateway.lastOrder);
    gateway.lastOrder = orders.at(-1)?.number ?? gateway.lastOrder;
    const answers = orders.flatMap(commandsIn).flatMap((command) =>
      this.devices.flatMap((device) => {
        const status = device.hear(command);
        return status === undefined ? [] : [gateway.event(device.seal(status))];
      }),
    );
    if (answers.length > 0) await this.tellBy(gateway, ...answers);
    return orders;
  }

  async fileOf(name: string): Promise<Buffer> {
    const file = await this.door.openContent(name);
    assert.ok(file !== undefined);
    const chunks = await file.stream(0, file.sizeBytes - 1).toArray();
    return Buffer.concat(chunks as Buffer[]);
  }

  async campaign(more: Partial<NewCampaign> = {}): Promise<string> {
    const spec = CampaignSpec.parse({
      name: this.model,
      image: this.image.id,
      targets: { query: `model==${this.model}` },
      ...more,
    });
    const { image } = this;
    const policy = compilePolicy(
      spec,
      () => image,
      () => 0,
    );
    const { campaign } = await this.#stores.campaigns.create({ spec, policy, author: { name: "ann" } }, Date.now());
    for (const command of ["submit", "start"] as const)
      await this.engine
        .command(campaign.id, { command, by: "ann" }, Date.now())
        .catch((error: AirliftError) => assert.equal(error.code, "CAMPAIGN_STATE"));
    return campaign.id;
  }

  /** Turns of the campaign and of the broadcast until nobody has anything to do. @param utcMs The campaign's time. */
  async turn(utcMs = Date.now()): Promise<void> {
    const { campaigns } = this.#stores;
    for (let i = 0; i < 4; i += 1) {
      await this.engine.sweep(utcMs);
      for (const leased of await campaigns.takeOrders(utcMs, 1000)) {
        assert.equal(await this.broadcast.take(leased), "done");
        await campaigns.orderDone(leased.target.campaignId, leased.target.endpoint, leased.order);
      }
      await this.broadcast.sweep();
      for (const { campaignId, endpoint, ...news } of this.reports.splice(0))
        if (campaignId !== null) await this.engine.report({ campaignId, endpoint }, news, utcMs);
    }
  }

  async sentenceOf(index: number): Promise<string> {
    const { items } = await this.#stores.updates.list({ endpoint: this.devices[index]?.deviceId }, { limit: 1 });
    return items[0]?.sentence ?? "";
  }

  async stateOf(index: number): Promise<string> {
    const { items } = await this.#stores.updates.list({ endpoint: this.devices[index]?.deviceId }, { limit: 1 });
    return `${items[0]?.state} ${items[0]?.failure ?? ""}`.trim();
  }
}

export const transmitIn = (orders: readonly GatewayOrder[]): TransmitOrder =>
  orders.flatMap(({ order }) => (order.kind === "transmit" ? [order] : []))[0] ??
  assert.fail("no broadcast was ordered");
