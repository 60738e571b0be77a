/** Questions to single devices: to those that are quiet, until they count as silent, and to those that said they lack packets. */
import type { Gateway } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { ASK_FSEQS, askDevice, DEVICE_REPEATS, SCHEDULE_BYTES } from "../mesh/session-order.ts";
import type { NewOrder } from "../store/gateway-store.ts";
import type { Muteness } from "../store/mesh-devices.ts";
import type { MeshChange, MeshReport, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import type { AirtimeRooms } from "./airtime-rooms.ts";
import { ApplyHours } from "./apply-hours.ts";
import { type BroadcastApply, unheardText } from "./broadcast-apply.ts";
import { MUTE_TEXT, muteChange } from "./broadcast-trouble.ts";
import { gatewayFor, wordOrders } from "./broadcast-words.ts";

export interface AskOptions {
  readonly stores: Pick<Stores, "mesh" | "campaigns">;
  readonly rooms: AirtimeRooms;
  readonly apply: BroadcastApply;
  readonly utcMs: () => number;
  /** How long a device may be quiet before it is asked. */
  readonly quietMs: number;
}

/** Times that a quiet device is asked before it counts as silent. */
const MOST_ASKS = 5;
/** Devices asked in one turn: some seconds of airtime. */
const ASKS_AT_ONCE = 200;
/** How long a question may wait for the air: the next one comes sooner than that is of use. */
const ASK_PATIENCE_MS = 5 * 60_000;

/** What is said to devices, and of them. */
interface Asked {
  readonly orders: readonly NewOrder[];
  readonly changes: readonly MeshChange[];
  /** Words to install that were given before. */
  readonly again: readonly { readonly order: NewOrder; readonly updateId: string }[];
}

export class BroadcastAsks {
  readonly #options: AskOptions;

  constructor(options: AskOptions) {
    this.#options = options;
  }

  /** @param lacking Said after their broadcast that packets are missing. @returns What campaigns are to hear. */
  async turn(lacking: readonly MeshUpdate[]): Promise<readonly MeshReport[]> {
    const { stores, quietMs } = this.#options;
    const { mesh } = stores;
    const reports: MeshReport[] = [];
    if (lacking.length > 0) {
      const { able, changes } = await this.#split(lacking.slice(0, ASKS_AT_ONCE), muteChange);
      const asked = await this.#asks(able);
      reports.push(...(await this.#record({ ...asked, changes: [...changes, ...asked.changes] })));
    }
    const quiet = await mesh.quietUpdates(quietMs, ASKS_AT_ONCE);
    if (quiet.length === 0) return reports;
    const { able, changes } = await this.#split(quiet, ({ updateId }, muteness) =>
      silent(updateId, `nothing was heard of the device, and it cannot be asked: ${MUTE_TEXT[muteness]}`),
    );
    const gone = able
      .filter(({ askCount }) => askCount >= MOST_ASKS)
      .map(({ updateId }) => silent(updateId, `nothing was heard of the device after it was asked ${MOST_ASKS} times`));
    const asked = await this.#asks(able.filter(({ askCount }) => askCount < MOST_ASKS));
    reports.push(...(await this.#record({ ...asked, changes: [...changes, ...gone, ...asked.changes] })));
    return reports;
  }

  /** Those that can be asked, and what is said of the others. */
  async #split(updates: readonly MeshUpdate[], say: (update: MeshUpdate, muteness: Muteness) => MeshChange) {
    const endpoints = updates.map(({ endpoint }) => endpoint);
    const mute = await this.#options.stores.mesh.devices.muteAmong(endpoints, ASK_FSEQS);
    const able: MeshUpdate[] = [];
    const changes: MeshChange[] = [];
    for (const update of updates) {
      const muteness = mute.get(update.endpoint);
      if (muteness === undefined) able.push(update);
      else changes.push(say(update, muteness));
    }
    return { able, changes };
  }

  async #record({ orders, changes, again }: Asked): Promise<readonly MeshReport[]> {
    const reports = await this.#options.stores.mesh.sessions.record({ orders, changes });
    await Promise.all(again.map((word) => this.#tellAgain(word)));
    return reports;
  }

  /** Each by itself: of one whose campaign has come to hold it since, nothing is said, and the next look asks where it stands. */
  async #tellAgain({ order, updateId }: Asked["again"][number]): Promise<void> {
    try {
      await this.#options.stores.mesh.sessions.record({ orders: [order], installing: [updateId] });
    } catch (error) {
      if (error instanceof UsageError && error.code === "CAMPAIGN_PERMIT") return;
      throw error;
    }
  }

  /** Each is asked by a gateway that reaches it and has room for it; where there is none, that is why it stands where it stands. */
  async #asks(updates: readonly MeshUpdate[]): Promise<Asked> {
    const { stores, rooms, apply, utcMs } = this.#options;
    const gateways = await stores.mesh.gateways.list();
    const hours = new ApplyHours(stores, utcMs());
    const leftMs = new Map<Gateway, number>();
    const orders: NewOrder[] = [];
    const changes: MeshChange[] = [];
    const again: { order: NewOrder; updateId: string }[] = [];
    for (const update of updates) {
      const gateway = gatewayFor(gateways, update);
      const neededMs = gateway === undefined ? 0 : costMs(gateway);
      const roomMs = gateway && (leftMs.get(gateway) ?? rooms.freeMs(gateway));
      if (gateway === undefined || roomMs === undefined || roomMs < neededMs) {
        const why = gateway === undefined ? unheardText(update) : await rooms.waitFor(gateway, neededMs);
        if (why !== undefined) changes.push({ ...stay(update), sentence: `${update.state}: ${why}` });
        continue;
      }
      leftMs.set(gateway, roomMs - neededMs);
      const opening = await hours.of(update);
      // One that was told to install may not have heard it.
      const isToldAgain = update.state === "applying" && update.mayApply && "untilMs" in opening;
      const order = isToldAgain ? await apply.orderFor(gateway, [update], opening.untilMs) : undefined;
      if (order === undefined) orders.push(...(await this.#ask(gateway, update)));
      else again.push({ order, updateId: update.updateId });
    }
    return { orders, changes, again };
  }

  async #ask(gateway: Gateway, update: MeshUpdate): Promise<NewOrder[]> {
    const { stores, utcMs } = this.#options;
    const { mesh } = stores;
    const release = await mesh.releaseOf(update.imageId);
    const to = (await mesh.devices.reserveDevices([update.endpoint], ASK_FSEQS)).get(update.endpoint);
    if (release === undefined || to === undefined) return [];
    const keys = await mesh.keysOf(update.imageId, () => ({ key: new Uint8Array(16), iv: new Uint8Array(9) }));
    const fromMs = utcMs();
    const window = { fromMs, untilMs: fromMs + ASK_PATIENCE_MS };
    return wordOrders(gateway, askDevice(release, keys, { to, crypto: zmeshCrypto }), window);
  }
}

/** Two schedules. */
const costMs = ({ rateBps }: Gateway): number => ASK_FSEQS * DEVICE_REPEATS * airtimeMs(SCHEDULE_BYTES, rateBps);

const stay = ({ updateId, state }: MeshUpdate) => ({ updateId, state, failure: null });

const silent = (updateId: string, why: string): MeshChange => ({
  updateId,
  state: "silent",
  failure: null,
  sentence: `silent: ${why}`,
});
