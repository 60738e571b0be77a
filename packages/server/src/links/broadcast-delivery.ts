/**
 * Updates of devices behind gateways: many at a time by broadcast, from the first schedule to the word to install. Everything is on
 * record; whichever server looks next goes on from there.
 */
import type { ReportBatch } from "@airlift/protocol/api/gateway";
import type { Update } from "@airlift/protocol/api/schemas";
import { AirliftError, UsageError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import type { Logger } from "pino";
import type { LeasedOrder } from "../campaign/store-ports.ts";
import type { MeshReport, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import { AirtimeRooms } from "./airtime-rooms.ts";
import { BroadcastApply } from "./broadcast-apply.ts";
import { BroadcastAsks } from "./broadcast-asks.ts";
import { BroadcastCancel } from "./broadcast-cancel.ts";
import { BroadcastNews } from "./broadcast-news.ts";
import { BroadcastPlanner } from "./broadcast-planner.ts";
import { BroadcastStragglers } from "./broadcast-stragglers.ts";
import { CommandTurns } from "./command-turns.ts";
import { GatewayWatch } from "./gateway-watch.ts";
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
const SWEEP_MS = 1_000;

export class BroadcastDelivery {
  readonly planner: BroadcastPlanner;
  readonly #stragglers: BroadcastStragglers;
  readonly #news: BroadcastNews;
  readonly #apply: BroadcastApply;
  readonly #asks: BroadcastAsks;
  readonly #cancel: BroadcastCancel;
  readonly #options: BroadcastOptions;
  readonly #gatherMs: number;
  readonly #known = new Map<string, boolean>();
  readonly #gateways: GatewayWatch;
  readonly #turns: CommandTurns;
  #orderedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isClosed = false;
  #stopListening: (() => void) | undefined;

  constructor(options: BroadcastOptions) {
    this.#options = options;
    const { stores, releases, log, utcMs = Date.now, mostGatherMs, gatherMs = 1_000 } = options;
    const { leadMs = DEFAULT_LEAD_MS, spanMs = DEFAULT_SPAN_MS, quietMs = DEFAULT_QUIET_MS } = options;
    this.#gatherMs = gatherMs;
    const rooms = new AirtimeRooms(stores, utcMs);
    this.planner = new BroadcastPlanner({ stores, releases, rooms, utcMs, leadMs, spanMs, mostGatherMs });
    this.#stragglers = new BroadcastStragglers({ stores, utcMs, quietMs });
    this.#news = new BroadcastNews(stores, rooms);
    this.#apply = new BroadcastApply({ stores, rooms, utcMs, gatherMs });
    this.#asks = new BroadcastAsks({ stores, rooms, apply: this.#apply, utcMs, quietMs });
    this.#cancel = new BroadcastCancel({ stores, utcMs, log });
    this.#gateways = new GatewayWatch({ stores, log });
    this.#turns = new CommandTurns(stores, utcMs);
  }

  start(): void {
    this.#stopListening = this.#options.stores.events.subscribe(({ kind, endpoint, campaignId, facts }) => {
      if (kind === "device.onboarded") this.#known.delete(endpoint ?? "");
      if (kind !== "campaign.transition" || campaignId === null) return;
      const { state } = facts;
      if (state === "stopped" || state === "aborted") void this.#cancel.silence(campaignId);
      // What has not left for a gateway does not leave any more.
      if (state === "paused") void this.sweep();
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
    switch (order.kind) {
      case "begin": {
        const campaign = { id: campaignId, wave, attempt: order.attempt };
        return await this.#beginAttempt({ endpoint, imageId: order.imageId, campaign });
      }
      case "apply": {
        const update = await this.#ofAttempt(target, order.attempt);
        return update === undefined || (await this.#apply.permit(update.updateId)) ? "done" : "later";
      }
      case "hold": {
        const update = await this.#ofAttempt(target, order.attempt);
        if (update !== undefined) this.#tell(await this.#options.stores.mesh.hold(update.updateId));
        return "done";
      }
      case "cancel": {
        const update = await this.#ofAttempt(target, order.attempt);
        if (update === undefined) return await this.#cancelUnbegun(target, order.attempt);
        this.#tell(await this.#cancel.cancel([update]));
        return "done";
      }
    }
  }

  /** The attempt's update, if it has not ended. */
  async #ofAttempt({ endpoint, campaignId }: LeasedOrder["target"], attempt: number): Promise<MeshUpdate | undefined> {
    const [update] = await this.#options.stores.mesh.updatesOf([endpoint]);
    return update?.campaignId === campaignId && update.attempt === attempt ? update : undefined;
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
    if (command === "apply") {
      if (!(await this.#apply.permit(updateId)))
        throw new UsageError("CAMPAIGN_PERMIT", "its campaign does not let the device apply now", { updateId });
    } else this.#tell(await this.#cancel.cancel(await mesh.updatesNamed([updateId]), "by an operator"));
    return true;
  }

  /** What a gateway brings. @throws {UsageError} UNKNOWN_GATEWAY (404) */
  async report(gatewayId: string, batch: ReportBatch) {
    const { mesh } = this.#options.stores;
    const { answer, reports, refusedCount, hasEnds } = await mesh.reports.take(gatewayId, batch);
    const band = await mesh.gateways.saveState(gatewayId, batch.state);
    await this.#gateways.look(gatewayId, batch.state, band);
    const strangeCount = batch.reports.filter(({ kind }) => kind === "unknown").length;
    if (strangeCount > 0)
      this.#options.log.warn(
        { gatewayId, strangeCount },
        "a gateway tells what this server does not know: it is newer",
      );
    if (refusedCount > 0) this.#options.log.debug({ gatewayId, refusedCount }, "events of devices were refused");
    this.#tell(reports);
    if (hasEnds || reports.some(({ state }) => state === "waitingToApply")) void this.sweep();
    const turn = await this.#turns.of(gatewayId);
    return { ...answer, ...(band !== undefined && { band }), ...(turn !== undefined && { turn }) };
  }

  /** Looks what is due: resolves when a look has ended that began after this was called. Those who call meanwhile share the next one. */
  sweep(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    if (this.#next !== undefined) return this.#next;
    if (this.#looking === undefined) return this.#look();
    this.#next = this.#looking.then(() => this.#look());
    return this.#next;
  }

  /** Resolves when no look is under way, nor asked for. */
  async settle(): Promise<void> {
    for (let last = this.#next ?? this.#looking; last !== undefined; last = this.#next ?? this.#looking) await last;
  }

  #look(): Promise<void> {
    this.#next = undefined;
    this.#looking = this.#turn().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #turn(): Promise<void> {
    if (this.#isClosed) return;
    const { stores, log } = this.#options;
    try {
      await stores.mesh.aloneDo(async () => {
        const { reports, again, ask } = await this.#stragglers.turn();
        this.#tell(reports);
        this.#tell(await this.#news.turn());
        if (performance.now() - this.#orderedAtMs >= this.#gatherMs) this.#tell(await this.planner.planWaiting(again));
        this.#tell(await this.#apply.turn());
        await this.#endLeftOver();
        this.#tell(await this.#asks.turn(ask));
      });
    } catch (error) {
      if (error instanceof AirliftError)
        log.warn({ code: error.code, reason: error.message }, "broadcasts could not be turned to");
      else log.error({ err: error }, "broadcasts could not be turned to");
    }
  }

  /** A word to install that was not heard in time may leave a device behind whose campaign was stopped meanwhile. */
  async #endLeftOver(): Promise<void> {
    const holding = await this.#options.stores.mesh.updatesIn("waitingToApply");
    const left = holding.filter(({ isCampaignOver }) => isCampaignOver);
    if (left.length > 0) this.#tell(await this.#cancel.cancel(left));
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
