/**
 * Updates of devices behind gateways: many at a time by broadcast, from the first schedule to the word to install. Everything is on
 * record; whichever server looks next goes on from there.
 */
import { randomBytes } from "node:crypto";
import type { ReportBatch } from "@airlift/protocol/api/gateway";
import type { Gateway } from "@airlift/protocol/api/mesh";
import type { Update } from "@airlift/protocol/api/schemas";
import { AirliftError, UsageError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import type { DeviceCommand } from "@airlift/protocol/zmesh/command";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Logger } from "pino";
import type { LeasedOrder } from "../campaign/store-ports.ts";
import { askDevice, commandFor } from "../mesh/session-order.ts";
import type { NewOrder } from "../store/gateway-store.ts";
import type { MeshChange, MeshReport, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import { BroadcastPlanner, commandOrder } from "./broadcast-planner.ts";
import { BroadcastStragglers } from "./broadcast-stragglers.ts";
import type { MeshReleases } from "./mesh-releases.ts";

export interface BroadcastOptions {
  readonly stores: Pick<Stores, "mesh" | "updates" | "events" | "devices" | "campaigns">;
  readonly releases: MeshReleases;
  readonly log: Logger;
  readonly utcMs?: (() => number) | undefined;
  /** Default `DEFAULT_LEAD_MS`. */
  readonly leadMs?: number | undefined;
  /** Default `DEFAULT_SPAN_MS`. */
  readonly spanMs?: number | undefined;
  /** How long a device may be quiet before it is asked. Default `DEFAULT_QUIET_MS`. */
  readonly quietMs?: number | undefined;
  /** How long orders are gathered before they become one broadcast, or one word to install. Default 1 s. */
  readonly gatherMs?: number | undefined;
  /** How long those who have begun wait for the others of their campaign. Default `DEFAULT_MOST_GATHER_MS`. */
  readonly mostGatherMs?: number | undefined;
  /** A change of an update is on record: its campaign is to hear of it. */
  readonly onTransition?: ((report: MeshReport) => void) | undefined;
}

/** A gateway fetches an image and tells the group before the first packet. */
export const DEFAULT_LEAD_MS = 10_000;
/** A broadcast that takes longer than a day, waits for the law included, is refused. */
export const DEFAULT_SPAN_MS = 24 * 3_600_000;
/** A device that installs is silent for so long. */
export const DEFAULT_QUIET_MS = 60_000;
/** Times that a quiet device is asked before it counts as silent. */
const MOST_ASKS = 5;
const SWEEP_MS = 1_000;
/** Devices asked in one sweep: some seconds of airtime. */
const ASKS_AT_ONCE = 200;
/** How long a command may wait for a gateway, or for the law: longer than its window of an hour. */
const COMMAND_PATIENCE_MS = 2 * 3_600_000;

export class BroadcastDelivery {
  readonly planner: BroadcastPlanner;
  readonly #stragglers: BroadcastStragglers;
  readonly #options: BroadcastOptions;
  readonly #utcMs: () => number;
  readonly #known = new Map<string, boolean>();
  /** Updates that may install, until the word is on its way. */
  readonly #permitted = new Set<string>();
  /** Gateways that send elsewhere than is planned, as was told. */
  readonly #misplaced = new Set<string>();
  #permittedAtMs = 0;
  #orderedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #turning: Promise<void> | undefined;
  #isClosed = false;
  #stopListening: (() => void) | undefined;

  constructor(options: BroadcastOptions) {
    this.#options = options;
    this.#utcMs = options.utcMs ?? Date.now;
    const { stores, releases, leadMs = DEFAULT_LEAD_MS, spanMs = DEFAULT_SPAN_MS } = options;
    const { mostGatherMs } = options;
    this.planner = new BroadcastPlanner({ stores, releases, utcMs: this.#utcMs, leadMs, spanMs, mostGatherMs });
    this.#stragglers = new BroadcastStragglers({
      stores,
      utcMs: this.#utcMs,
      quietMs: options.quietMs ?? DEFAULT_QUIET_MS,
    });
  }

  start(): void {
    this.#stopListening = this.#options.stores.events.subscribe(({ kind, endpoint, campaignId, facts }) => {
      if (kind === "device.onboarded") this.#known.delete(endpoint ?? "");
      if (kind !== "campaign.transition" || campaignId === null) return;
      if (facts["state"] === "stopped" || facts["state"] === "aborted") void this.#silence(campaignId);
    });
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS).unref();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#stopListening?.();
    await this.settle();
  }

  /**
   * Takes over what a campaign orders of a mesh device.
   *
   * @returns `notMine`: somebody else's device. `later`: the order is to come again.
   * @throws {EnvironmentError} DATABASE_AWAY
   */
  async take({ target, order }: LeasedOrder): Promise<"notMine" | "done" | "later"> {
    const { endpoint, campaignId, wave } = target;
    if (!(await this.#isMesh(endpoint))) return "notMine";
    if (order.kind === "begin")
      return await this.#beginAttempt({
        endpoint,
        imageId: order.imageId,
        campaign: { id: campaignId, wave, attempt: order.attempt },
      });
    const [update] = await this.#options.stores.mesh.updatesOf([endpoint]);
    const isIts = update?.campaignId === campaignId && update.attempt === order.attempt;
    if (order.kind === "apply") {
      if (update !== undefined && isIts) await this.#permit(update.updateId);
    } else if (update !== undefined && isIts) await this.#cancel([update]);
    else return await this.#cancelUnbegun(target, order.attempt);
    return "done";
  }

  /** Takes the attempt's place, so that whoever still holds the order to begin it finds it done; one that has ended by itself stays what it is. */
  async #cancelUnbegun(
    { endpoint, campaignId, wave, imageId }: LeasedOrder["target"],
    attempt: number,
  ): Promise<"done" | "later"> {
    if (imageId === null) return "done";
    const update = await this.#options.stores.updates.createCancelled(
      { endpoint, imageId, by: "auto", campaign: { id: campaignId, wave, attempt } },
      "cancelled: before it was begun",
    );
    if (!isFinalUpdateState(update.state)) return "later";
    this.#tell([update]);
    return "done";
  }

  /** An update that no campaign began: whether it is a mesh device's, and taken up. */
  async begin(update: Pick<Update, "endpoint">): Promise<boolean> {
    if (!(await this.#isMesh(update.endpoint))) return false;
    this.#orderedAtMs = performance.now();
    return true;
  }

  /** @returns Whether the update is a mesh device's. @throws {UsageError} UPDATE_STATE, UPDATE_FINISHED */
  async command(updateId: string, command: "apply" | "cancel"): Promise<boolean> {
    const { updates, mesh } = this.#options.stores;
    const update = await updates.get(updateId);
    if (update === undefined || !(await this.#isMesh(update.endpoint))) return false;
    if (isFinalUpdateState(update.state)) throw new UsageError("UPDATE_FINISHED", "the update has ended", { updateId });
    const isLate = update.state === "applying" || update.state === "confirming";
    if (isLate || (command === "apply" && update.state !== "waitingToApply"))
      throw new UsageError("UPDATE_STATE", `an update that is ${update.state} cannot be told to ${command}`, {
        updateId,
        state: update.state,
      });
    if (command === "apply") await this.#permit(updateId);
    else await this.#cancel((await mesh.updatesOf([update.endpoint])).filter((one) => one.updateId === updateId));
    return true;
  }

  /** What a gateway brings. @throws {UsageError} UNKNOWN_GATEWAY (404) */
  async report(gatewayId: string, batch: ReportBatch) {
    const { mesh } = this.#options.stores;
    const { answer, reports, refusedCount, hasEnds } = await mesh.reports.take(gatewayId, batch);
    const band = await mesh.gateways.saveState(gatewayId, batch.state);
    await this.#checkBand(gatewayId, band, batch);
    if (refusedCount > 0) this.#options.log.debug({ gatewayId, refusedCount }, "events of devices were refused");
    this.#tell(reports);
    if (hasEnds || reports.some(({ state }) => state === "waitingToApply")) void this.sweep();
    return band === undefined ? answer : { ...answer, band };
  }

  /** A gateway that does not send where it is planned for refuses all broadcasts: its operator is told, once. */
  async #checkBand(gatewayId: string, planned: string | undefined, { state }: ReportBatch): Promise<void> {
    const own = state.ledgers.map(({ band }) => band);
    if (planned === undefined || own.includes(planned)) {
      this.#misplaced.delete(gatewayId);
      return;
    }
    if (this.#misplaced.has(gatewayId)) return;
    this.#misplaced.add(gatewayId);
    const sends = own.length === 0 ? "in no sub-band" : `in ${own.join(", ")}`;
    const sentence = `the gateway ${gatewayId} sends ${sends}, and broadcasts are planned for ${planned}: it cannot take part`;
    this.#options.log.warn({ gatewayId, planned, own }, sentence);
    const event = { kind: "gateway.warning" as const, sentence, facts: { gatewayId, planned, own } };
    await this.#options.stores.mesh.sessions.record({ events: [event] });
  }

  /** Looks what is due, once at a time; the result resolves when it has. */
  sweep(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#turning ??= this.#turn().finally(() => {
      this.#turning = undefined;
    });
    return this.#turning;
  }

  /** Resolves when no look is under way. */
  async settle(): Promise<void> {
    while (this.#turning !== undefined) await this.#turning;
  }

  async #turn(): Promise<void> {
    const { stores, log, gatherMs = 1_000 } = this.#options;
    try {
      await stores.mesh.aloneDo(async () => {
        const { reports, again, ask } = await this.#stragglers.turn();
        this.#tell(reports);
        if (performance.now() - this.#orderedAtMs >= gatherMs) this.#tell(await this.planner.planWaiting(again));
        await this.#applyPermitted(gatherMs);
        if (ask.length > 0) this.#tell(await stores.mesh.sessions.record(await this.#asks(ask.slice(0, ASKS_AT_ONCE))));
        await this.#askQuiet();
      });
    } catch (error) {
      if (error instanceof AirliftError)
        log.warn({ code: error.code, reason: error.message }, "broadcasts could not be turned to");
      else log.error({ err: error }, "broadcasts could not be turned to");
    }
  }

  async #beginAttempt(order: {
    endpoint: string;
    imageId: string;
    campaign: { id: string; wave: number; attempt: number };
  }): Promise<"done" | "later"> {
    const { endpoint, campaign } = order;
    const news = { endpoint, campaignId: campaign.id, attempt: campaign.attempt };
    try {
      await this.#options.stores.updates.create({ ...order, by: "auto", apply: false });
      this.#orderedAtMs = performance.now();
      return "done";
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      if (error.code === "CAMPAIGN_STATE") return "later";
      if (error.code === "UPDATE_RUNNING") {
        this.#tell([
          { ...news, state: "waiting", failure: null, sentence: "waiting: another update of the device is under way" },
        ]);
        return "later";
      }
      this.#tell([{ ...news, state: "failed", failure: "rejected", sentence: `failed: ${error.message}` }]);
      return "done";
    }
  }

  async #permit(updateId: string): Promise<void> {
    await this.#options.stores.mesh.permit([updateId]);
    this.#permitted.add(updateId);
    this.#permittedAtMs = performance.now();
  }

  /** One frame to the group where all who have the image may install it, else one to each device. */
  async #applyPermitted(gatherMs: number): Promise<void> {
    if (this.#permitted.size > 0 && performance.now() - this.#permittedAtMs < gatherMs) return;
    this.#permitted.clear();
    const { mesh } = this.#options.stores;
    const holding = await mesh.updatesIn("waitingToApply");
    const ready = holding.filter(({ apply }) => apply);
    if (ready.length === 0) return;
    const unready = new Set(
      (await mesh.updatesIn("transferring")).concat(holding.filter(({ apply }) => !apply)).map(keyOf),
    );
    const gateways = new Map((await mesh.gateways.list()).map((gateway) => [gateway.id, gateway]));
    for (const updates of Map.groupBy(ready, (update) => `${update.gatewayId} ${keyOf(update)}`).values()) {
      const [first] = updates as [MeshUpdate];
      const gateway = gateways.get(first.gatewayId ?? "");
      const release = await mesh.releaseOf(first.imageId);
      if (gateway === undefined || release === undefined) continue;
      const command: DeviceCommand = { kind: "apply", apply: { name: Buffer.from(release.image.content.name, "hex") } };
      const isForGroup =
        !unready.has(keyOf(first)) && updates.length > 1 && updates.every(({ hasGroupKey }) => hasGroupKey);
      const order = isForGroup
        ? await this.#groupOrder(gateway, first.groupId, command)
        : await this.#deviceOrder(gateway, updates, command);
      const sentence = "applying: the device was told to install";
      const changes = updates.map(({ updateId }) => ({
        updateId,
        state: "applying" as const,
        failure: null,
        sentence,
      }));
      this.#tell(await mesh.sessions.record({ orders: order, changes }));
    }
  }

  async #groupOrder(gateway: Gateway, groupId: string, command: DeviceCommand): Promise<NewOrder[]> {
    const group = await this.#options.stores.mesh.devices.reserveGroup(groupId, 1);
    return [this.#commandOrder(gateway, [commandFor(group, command, { isGroup: true, crypto: zmeshCrypto })])];
  }

  async #deviceOrder(gateway: Gateway, updates: readonly MeshUpdate[], command: DeviceCommand): Promise<NewOrder[]> {
    const endpoints = updates.map(({ endpoint }) => endpoint);
    const channels = await this.#options.stores.mesh.devices.reserveDevices(endpoints, 1);
    const commands = [...channels.values()].map((to) =>
      commandFor(to, command, { isGroup: false, crypto: zmeshCrypto }),
    );
    const orders: NewOrder[] = [];
    for (let at = 0; at < commands.length; at += 1024)
      orders.push(this.#commandOrder(gateway, commands.slice(at, at + 1024)));
    return orders;
  }

  #commandOrder(gateway: Gateway, commands: ReturnType<typeof commandFor>[]): NewOrder {
    const fromMs = this.#utcMs();
    const window = { fromMs, untilMs: fromMs + COMMAND_PATIENCE_MS };
    return commandOrder(gateway, { commandId: randomBytes(8).toString("hex"), commands, window }, null);
  }

  /** Those of whom nothing is heard are asked one by one, and given up after some times. */
  async #askQuiet(): Promise<void> {
    const { stores, quietMs = DEFAULT_QUIET_MS } = this.#options;
    const { mesh } = stores;
    const quiet = await mesh.quietUpdates(quietMs, ASKS_AT_ONCE);
    if (quiet.length === 0) return;
    const gone = quiet.filter(({ askCount }) => askCount >= MOST_ASKS);
    const sentence = `silent: nothing was heard of the device after it was asked ${MOST_ASKS} times`;
    const changes = gone.map(({ updateId }) => ({ updateId, state: "silent" as const, failure: null, sentence }));
    const asked = await this.#asks(quiet.filter(({ askCount }) => askCount < MOST_ASKS));
    this.#tell(await mesh.sessions.record({ ...asked, changes: [...changes, ...asked.changes] }));
  }

  /** Each is asked by a gateway that reaches it; where there is none, that is why it stands where it stands. */
  async #asks(quiet: readonly MeshUpdate[]): Promise<{ orders: NewOrder[]; changes: MeshChange[] }> {
    const { mesh } = this.#options.stores;
    const gateways = (await mesh.gateways.list()).filter(({ isOnline }) => isOnline);
    const orders: NewOrder[] = [];
    const changes: MeshChange[] = [];
    for (const update of quiet) {
      const gateway = gateways.find(({ id, cells }) =>
        update.cell === null ? id === (update.gatewayId ?? id) : cells.includes(update.cell),
      );
      const release = await mesh.releaseOf(update.imageId);
      if (gateway === undefined || release === undefined) {
        const sentence = `${update.state}: no gateway is heard that reaches ${update.cell ?? "the device"}`;
        changes.push({ updateId: update.updateId, state: update.state, failure: null, sentence });
        continue;
      }
      const to = (await mesh.devices.reserveDevices([update.endpoint], 2)).get(update.endpoint);
      if (to === undefined) continue;
      const apply: DeviceCommand = { kind: "apply", apply: { name: Buffer.from(release.image.content.name, "hex") } };
      const keys = await mesh.keysOf(update.imageId, () => ({ key: new Uint8Array(16), iv: new Uint8Array(9) }));
      const commands =
        update.state === "applying"
          ? [commandFor(to, apply, { isGroup: false, crypto: zmeshCrypto })]
          : askDevice(release, keys, { to, crypto: zmeshCrypto });
      orders.push(this.#commandOrder(gateway, commands));
    }
    return { orders, changes };
  }

  /** These end at once; the devices are told, and a broadcast that is for nobody any more leaves the air. */
  async #cancel(updates: readonly MeshUpdate[]): Promise<void> {
    const { mesh } = this.#options.stores;
    const sentence = "cancelled: by the network";
    const changes = updates
      .filter(({ state }) => state !== "applying" && state !== "confirming")
      .map(({ updateId }) => ({ updateId, state: "cancelled" as const, failure: null, sentence }));
    const open = new Map((await mesh.sessions.open()).map((session) => [session.id, session]));
    const gateways = new Map((await mesh.gateways.list()).map((gateway) => [gateway.id, gateway]));
    const orders: NewOrder[] = [];
    for (const update of updates) {
      const session = open.get(update.sessionId ?? "");
      const gateway = gateways.get(session?.gatewayId ?? "");
      const release = await mesh.releaseOf(update.imageId);
      if (session === undefined || gateway === undefined || release === undefined) continue;
      const cancel = { updateAtMs: session.updateAtMs, name: Buffer.from(release.image.content.name, "hex") };
      orders.push(...(await this.#deviceOrder(gateway, [update], { kind: "cancel", cancel })));
    }
    this.#tell(await mesh.sessions.record({ changes, orders }));
    await this.#endEmptySessions();
  }

  async #endEmptySessions(): Promise<void> {
    const { mesh } = this.#options.stores;
    for (const session of await mesh.sessions.open())
      if (await mesh.isEmpty(session.id)) await this.#stopSession(session);
  }

  /** A campaign was stopped: nothing of it is on air a second later, whether or not its devices have been told one by one. */
  async #silence(campaignId: string): Promise<void> {
    try {
      const open = await this.#options.stores.mesh.sessions.open();
      for (const session of open) if (session.campaignId === campaignId) await this.#stopSession(session);
    } catch (error) {
      this.#options.log.error(
        { err: error, campaignId },
        "a campaign's broadcasts could not be stopped; they are with its devices' cancels",
      );
    }
  }

  async #stopSession({
    id,
    gatewayId,
    groupId,
    imageId,
    updateAtMs,
  }: Awaited<ReturnType<Stores["mesh"]["sessions"]["open"]>>[number]): Promise<void> {
    const { mesh } = this.#options.stores;
    const release = await mesh.releaseOf(imageId);
    const { rateBps } = await mesh.gateways.get(gatewayId);
    const untilMs = this.#utcMs() + COMMAND_PATIENCE_MS;
    const group = await mesh.devices.reserveGroup(groupId, 1);
    const name = Buffer.from(release?.image.content.name ?? "", "hex");
    const commands = [
      commandFor(group, { kind: "cancel", cancel: { updateAtMs, name } }, { isGroup: true, crypto: zmeshCrypto }),
    ];
    const content = {
      order: { kind: "cancel" as const, sessionId: id, rateBps, ttl: 0, commands, untilMs },
      channelPlace: null,
    };
    const sentence = `broadcast ${id} at ${gatewayId} is stopped`;
    await mesh.sessions.record({
      orders: [{ gatewayId, content, sessionId: id }],
      ended: [{ id, outcome: "cancelled", detail: "stopped by an operator" }],
      events: [{ kind: "mesh.session", sentence, facts: { sessionId: id, gatewayId, outcome: "cancelled" } }],
    });
  }

  async #isMesh(endpoint: string): Promise<boolean> {
    const known = this.#known.get(endpoint);
    if (known !== undefined) return known;
    const found = await this.#options.stores.mesh.isMesh(endpoint);
    if (this.#known.size > 100_000) this.#known.clear();
    this.#known.set(endpoint, found);
    return found;
  }

  #tell(reports: readonly MeshReport[]): void {
    for (const report of reports) this.#options.onTransition?.(report);
  }
}

const keyOf = ({ imageId, groupId }: MeshUpdate): string => `${imageId} ${groupId}`;
