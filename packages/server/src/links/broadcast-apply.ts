/**
 * The word to install: to a whole group where all who may hold the image may install it, else to each device by itself. A gateway has it
 * for a minute at a time, so that what is not on air when a campaign is paused, or a window closes, does not get there later.
 */
import { randomBytes } from "node:crypto";
import type { SealedCommand } from "@airlift/protocol/api/gateway";
import type { Gateway } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { leastOf } from "@airlift/protocol/lib/extremes";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { DeviceCommand } from "@airlift/protocol/zmesh/command";
import { DEVICE_REPEATS, GROUP_REPEATS, MOST_COMMANDS } from "../mesh/session-order.ts";
import type { NewOrder, OpenApply } from "../store/gateway-store.ts";
import type { ApplyOrder } from "../store/mesh-tables.ts";
import type { MeshChange, MeshReport, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import type { AirtimeRooms } from "./airtime-rooms.ts";
import { ApplyHours, type ApplyOpening } from "./apply-hours.ts";
import { troubleOf } from "./broadcast-trouble.ts";
import { gatewayFor, imageNameOf, wordOrder, wordsToDevices, wordToGroup } from "./broadcast-words.ts";

export interface ApplyOptions {
  readonly stores: Pick<Stores, "mesh" | "campaigns">;
  readonly rooms: AirtimeRooms;
  readonly utcMs: () => number;
  /** How long permits are gathered before they become one word. */
  readonly gatherMs: number;
}

/** What a gateway has not sent after this, it drops, and tells: then it is said again, to those who still may. */
export const APPLY_LEASE_MS = 60_000;
/** Of that, what a gateway may be busy with saying it. */
const PORTION_MS = APPLY_LEASE_MS / 2;
/** Octets of a sealed Apply. */
const APPLY_BYTES = 13;

interface Ready {
  readonly update: MeshUpdate;
  readonly untilMs: number;
}

/** Those of one image and group that one gateway tells. */
interface Party {
  readonly gateway: Gateway;
  readonly ready: readonly Ready[];
}

export class BroadcastApply {
  readonly #options: ApplyOptions;
  #isPermitNew = false;
  #permittedAtMs = 0;

  constructor(options: ApplyOptions) {
    this.#options = options;
  }

  /** False when its campaign does not let it install any more. */
  async permit(updateId: string): Promise<boolean> {
    if (!(await this.#options.stores.mesh.permit(updateId))) return false;
    this.#isPermitNew = true;
    this.#permittedAtMs = performance.now();
    return true;
  }

  /** Takes back what may not be said any more, and says what may. @returns What campaigns are to hear. */
  async turn(): Promise<readonly MeshReport[]> {
    const { stores, utcMs, gatherMs } = this.#options;
    const hours = new ApplyHours(stores, utcMs());
    const gateways = await stores.mesh.gateways.list();
    const { pending, reports } = await this.#takeBack(gateways, hours);
    if (this.#isPermitNew && performance.now() - this.#permittedAtMs < gatherMs) return reports;
    this.#isPermitNew = false;
    const { parties, changes } = await this.#parties(gateways, hours);
    const said = [reports, changes.length === 0 ? [] : await stores.mesh.sessions.record({ changes })];
    const busy = new Set(pending.map(({ gatewayId }) => gatewayId));
    const leftMs = new Map<string, number>();
    for (const party of parties) {
      const { gateway } = party;
      if (busy.has(gateway.id)) continue;
      const roomMs = leftMs.get(gateway.id) ?? Math.min(this.#options.rooms.freeMs(gateway), PORTION_MS);
      const { usedMs, reports: own } = await this.#sayOrExplain(party, roomMs, hours);
      leftMs.set(gateway.id, roomMs - usedMs);
      said.push(own);
    }
    return said.flat();
  }

  /** An order to tell these devices, each alone. At most `MOST_COMMANDS`. */
  async orderFor(gateway: Gateway, updates: readonly MeshUpdate[], untilMs: number): Promise<NewOrder | undefined> {
    const command = await this.#commandFor(updates);
    if (command === undefined) return undefined;
    const commands = await wordsToDevices(
      this.#options.stores,
      updates.map(({ endpoint }) => endpoint),
      command,
    );
    return this.#order(gateway, { commands, untilMs, apply: { groupId: null, updateIds: idsOf(updates) } });
  }

  /** What no gateway has got yet is not got any more when one of its devices may not install by now. What one has got ends by itself. */
  async #takeBack(
    gateways: readonly Gateway[],
    hours: ApplyHours,
  ): Promise<{ readonly pending: readonly OpenApply[]; readonly reports: readonly MeshReport[] }> {
    const { mesh } = this.#options.stores;
    const open = await mesh.gateways.openApplies();
    const lastOrder = new Map(gateways.map(({ id, state }) => [id, state?.lastOrder ?? 0]));
    const nowMs = this.#options.utcMs();
    const withdrawn: OpenApply[] = [];
    const changes: MeshChange[] = [];
    for (const order of open) {
      // Its gateway may still tell what became of it, and is understood.
      if (order.untilMs <= nowMs) withdrawn.push(order);
      else if (order.number > (lastOrder.get(order.gatewayId) ?? 0)) {
        const waiting = (await mesh.updatesNamed(order.updateIds)).filter(({ state }) => state === "applying");
        const may = await Promise.all(waiting.map((update) => hours.mayApply(update)));
        if (may.every(Boolean)) continue;
        withdrawn.push(order);
        for (const update of waiting) changes.push(heldChange(update, "the word to install was taken back"));
      }
    }
    if (withdrawn.length === 0) return { pending: open, reports: [] };
    const reports = await mesh.sessions.record({ withdrawn, changes });
    return { pending: open.filter((order) => !withdrawn.includes(order)), reports };
  }

  /** Who may be told now, and by whom; of the others, why not. */
  async #parties(gateways: readonly Gateway[], hours: ApplyHours) {
    const holding = await this.#options.stores.mesh.updatesIn("waitingToApply");
    const changes: MeshChange[] = [];
    const parties = new Map<string, { gateway: Gateway; ready: Ready[] }>();
    for (const update of holding) {
      if (!update.mayApply) continue;
      const opening: ApplyOpening = await hours.of(update);
      const gateway = gatewayFor(gateways, update);
      if ("closed" in opening) changes.push(heldChange(update, opening.closed));
      else if (gateway === undefined) changes.push(heldChange(update, unheardText(update)));
      else {
        const key = `${gateway.id} ${update.imageId} ${update.groupId}`;
        const party = parties.get(key) ?? { gateway, ready: [] };
        parties.set(key, party);
        party.ready.push({ update, untilMs: opening.untilMs });
      }
    }
    return { parties: [...parties.values()], changes };
  }

  async #sayOrExplain(party: Party, roomMs: number, hours: ApplyHours) {
    try {
      return await this.#say(party, roomMs, hours);
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble === undefined) throw error;
      const changes = party.ready.map(({ update }) => heldChange(update, trouble));
      return { usedMs: 0, reports: await this.#options.stores.mesh.sessions.record({ changes }) };
    }
  }

  /** As many of them as there is room for. @param roomMs Of air. */
  async #say({ gateway, ready }: Party, roomMs: number, hours: ApplyHours) {
    const { stores, rooms } = this.#options;
    const frameMs = airtimeMs(APPLY_BYTES, gateway.rateBps);
    const updates = ready.map(({ update }) => update);
    const groupId = roomMs < GROUP_REPEATS * frameMs ? undefined : await this.#groupOf(gateway, updates, hours);
    const count = Math.min(MOST_COMMANDS, Math.floor(roomMs / (DEVICE_REPEATS * frameMs)));
    const told = groupId === undefined ? ready.slice(0, count) : ready;
    if (told.length === 0) {
      const why = await rooms.waitFor(gateway, DEVICE_REPEATS * frameMs);
      const changes = why === undefined ? [] : updates.map((update) => heldChange(update, why));
      return { usedMs: 0, reports: await stores.mesh.sessions.record({ changes }) };
    }
    const untilMs = leastOf(told.map((one) => one.untilMs));
    const order = await (groupId === undefined
      ? this.orderFor(gateway, updatesOf(told), untilMs)
      : this.#groupOrder(gateway, { groupId, updates, untilMs }));
    const sentence = `applying: ${gateway.id} tells the device to install`;
    const changes = updatesOf(told).map(({ updateId }) => ({
      updateId,
      state: "applying" as const,
      failure: null,
      sentence,
    }));
    const usedMs = frameMs * (groupId === undefined ? DEVICE_REPEATS * told.length : GROUP_REPEATS);
    if (order === undefined) return { usedMs: 0, reports: [] };
    try {
      const installing = idsOf(updatesOf(told));
      return { usedMs, reports: await stores.mesh.sessions.record({ orders: [order], changes, installing }) };
    } catch (error) {
      // Its campaign has come to hold some of them since: the next look is without these.
      if (error instanceof UsageError && error.code === "CAMPAIGN_PERMIT") return { usedMs: 0, reports: [] };
      throw error;
    }
  }

  /** The group, when one frame is for all of it: each of these has its key, and nobody else in reach may hold the image without a permit. */
  async #groupOf(gateway: Gateway, updates: readonly MeshUpdate[], hours: ApplyHours): Promise<string | undefined> {
    const { mesh } = this.#options.stores;
    const [{ groupId, imageId }] = updates as [MeshUpdate];
    if (updates.length < 2 || !updates.every(({ hasGroupKey }) => hasGroupKey)) return undefined;
    const others = await mesh.updatesIn("waiting", "transferring", "waitingToApply", "applying");
    const permitted: MeshUpdate[] = [];
    for (const other of others)
      if (other.groupId === groupId && other.imageId === imageId && (await hours.mayApply(other)))
        permitted.push(other);
    const holder = await mesh.holderBeside({ groupId, imageId, gateway }, idsOf(permitted));
    return holder === undefined ? groupId : undefined;
  }

  async #groupOrder(
    gateway: Gateway,
    { groupId, updates, untilMs }: { groupId: string; updates: readonly MeshUpdate[]; untilMs: number },
  ): Promise<NewOrder | undefined> {
    const command = await this.#commandFor(updates);
    if (command === undefined) return undefined;
    const commands = [await wordToGroup(this.#options.stores, groupId, command)];
    return this.#order(gateway, { commands, untilMs, apply: { groupId, updateIds: idsOf(updates) } });
  }

  async #commandFor([first]: readonly MeshUpdate[]): Promise<DeviceCommand | undefined> {
    const release = first && (await this.#options.stores.mesh.releaseOf(first.imageId));
    return release && { kind: "apply", apply: { name: imageNameOf(release) } };
  }

  #order(
    gateway: Gateway,
    { commands, untilMs, apply }: { commands: SealedCommand[]; untilMs: number; apply: ApplyOrder },
  ): NewOrder {
    const fromMs = this.#options.utcMs();
    const window = { fromMs, untilMs: Math.floor(Math.min(fromMs + APPLY_LEASE_MS, untilMs)) };
    const order = wordOrder(gateway, { commandId: randomBytes(8).toString("hex"), commands, window }, null);
    return { ...order, content: { ...order.content, apply } };
  }
}

const updatesOf = (ready: readonly Ready[]): MeshUpdate[] => ready.map(({ update }) => update);
const idsOf = (updates: readonly MeshUpdate[]): string[] => updates.map(({ updateId }) => updateId);

const heldChange = ({ updateId }: MeshUpdate, why: string): MeshChange => ({
  updateId,
  state: "waitingToApply",
  failure: null,
  sentence: `waitingToApply: ${why}`,
});

/** Nobody is there to speak to a device. */
export const unheardText = ({ cell }: Pick<MeshUpdate, "cell">): string =>
  `no gateway is heard that reaches ${cell ?? "the device"}`;
