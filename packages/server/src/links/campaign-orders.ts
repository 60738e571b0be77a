/** Carries out what campaigns order: an update is begun, told to apply, or cancelled; and what that came to goes back to the campaign. */
import type { Update } from "@airlift/protocol/api/schemas";
import { AirliftError, UsageError } from "@airlift/protocol/lib/errors";
import type { DeliveryMethod } from "@airlift/protocol/update/device-update";
import { offsetAt } from "@airlift/runtime/zone-offset";
import type { Logger } from "pino";
import { OpeningHours } from "../campaign/opening-hours.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import { clockText } from "../campaign/schedule/wall-clock.ts";
import type { LeasedOrder } from "../campaign/store-ports.ts";
import type { Target } from "../campaign/target.ts";
import type { CampaignAttempt, Stores } from "../store/ports.ts";
import type { BroadcastDelivery } from "./broadcast-delivery.ts";
import type { CampaignReports } from "./campaign-reports.ts";
import type { DeliveryEngine } from "./delivery-engine.ts";

export interface CampaignOrdersOptions {
  readonly stores: Pick<Stores, "campaigns" | "updates"> & { readonly devices: Pick<Stores["devices"], "get"> };
  readonly delivery: Pick<DeliveryEngine, "apply" | "hold" | "cancel" | "isRunning" | "restore" | "takeOver">;
  readonly reports: Pick<CampaignReports, "add">;
  /** Is asked first, and takes what is for devices behind radio gateways. */
  readonly broadcast?: Pick<BroadcastDelivery, "take"> | undefined;
  readonly log: Logger;
}

/** Orders leased at once: a second's worth and more. */
const ORDERS_AT_ONCE = 200;
/** Campaigns whose policy is remembered. */
const MOST_REMEMBERED = 1_000;

export class CampaignOrders {
  readonly #options: CampaignOrdersOptions;
  /** A campaign's policy is what it was when it was submitted. */
  readonly #policies = new Map<string, CampaignPolicy | undefined>();

  constructor(options: CampaignOrdersOptions) {
    this.#options = options;
  }

  /**
   * Takes the orders that wait and carries them out; how many.
   *
   * @throws {EnvironmentError} DATABASE_AWAY
   */
  async carryOut(utcMs: number): Promise<number> {
    const leased = await this.#options.stores.campaigns.takeOrders(utcMs, ORDERS_AT_ONCE);
    // Whoever is to stop, or to wait, goes first.
    const urgent = leased.toSorted((a, b) => Number(isRestraint(b)) - Number(isRestraint(a)));
    await Promise.all(urgent.map((one) => this.#carryOutOne(one, utcMs)));
    return leased.length;
  }

  /** Begins updates that were created for this server. */
  async takeUpOrdered(): Promise<void> {
    const { stores, delivery } = this.#options;
    await delivery.restore(await stores.updates.ordered());
  }

  /** One that fails comes again when its lease has run out. */
  async #carryOutOne({ target, order }: LeasedOrder, utcMs: number): Promise<void> {
    const { log, stores } = this.#options;
    const { campaignId, endpoint } = target;
    try {
      if (await this.#isClosed({ target, order }, utcMs)) return;
      const taken = (await this.#options.broadcast?.take({ target, order })) ?? "notMine";
      const isDone = taken === "notMine" ? await this.#act(target, order) : taken === "done";
      if (isDone) await stores.campaigns.orderDone(campaignId, endpoint, order);
    } catch (error) {
      const level = error instanceof AirliftError ? "warn" : "error";
      log[level](
        { err: error, campaignId, endpoint, order: order.kind },
        "a campaign's order could not be carried out",
      );
    }
  }

  #act(target: Target, order: LeasedOrder["order"]): Promise<boolean> {
    switch (order.kind) {
      case "begin":
        return this.#begin(target, order.imageId);
      case "apply":
        return this.#apply(target, order);
      case "hold":
        return this.#hold(target, order);
      case "cancel":
        return this.#cancel(target, order);
    }
  }

  /** An order that comes late, as from before an outage, finds its window closed: it waits on its row, and the operator reads for what. */
  async #isClosed({ target, order }: LeasedOrder, utcMs: number): Promise<boolean> {
    if (isRestraint({ order })) return false;
    const { campaignId, endpoint } = target;
    const step = order.kind === "begin" ? "download" : "apply";
    const policy = await this.#policyOf(campaignId);
    const schedule = policy?.[step];
    if (policy === undefined || !schedule || schedule.windows.length + schedule.blackouts.length === 0) return false;
    const device = await this.#options.stores.devices.get(endpoint);
    const place = { timeZone: device?.timezone ?? null, utcOffset: device?.utcOffset ?? null };
    const { opening, zone } = new OpeningHours(policy, offsetAt, utcMs).next(step, place);
    if (opening?.fromMs === utcMs) return false;
    const next = opening === undefined ? "and it opens no more" : `next ${clockText(opening.fromMs, zone, utcMs)}`;
    const state = step === "download" ? "waiting" : "waitingToApply";
    const sentence = `waiting: outside its ${step} window, ${next}`;
    this.#options.reports.add({ campaignId, endpoint, attempt: order.attempt, state, failure: null, sentence });
    return true;
  }

  async #begin(target: Target, imageId: string): Promise<boolean> {
    const { stores, reports } = this.#options;
    const { campaignId, endpoint, wave, attempt } = target;
    const news = { campaignId, endpoint, attempt, failure: null };
    try {
      const by = await this.#methodOf(campaignId);
      const { delta } = (await this.#policyOf(campaignId)) ?? {};
      const campaign = { id: campaignId, wave, attempt };
      reports.add(await stores.updates.create({ endpoint, imageId, by, delta, apply: false, campaign }));
      return true;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      // Paused or stopped since the order was taken: it comes again with the resume, or makes way for a cancel.
      if (error.code === "CAMPAIGN_STATE") return false;
      if (error.code === "UPDATE_RUNNING") {
        // The order comes again; meanwhile the operator reads why.
        const sentence = "waiting: another update of the device is under way";
        reports.add({ ...news, state: "waiting", sentence });
        return false;
      }
      if (error.code !== "UNKNOWN_IMAGE") throw error;
      reports.add({ ...news, state: "failed", failure: "rejected", sentence: `failed: ${error.message}` });
      return true;
    }
  }

  /** One that stands elsewhere by now is asked again when the order's lease has run out. */
  async #apply(target: Target, order: LeasedOrder["order"]): Promise<boolean> {
    const update = await this.#updateHere(target, order);
    if (update === undefined || update.finishedAt !== null || update.apply) return true;
    if (!this.#options.delivery.isRunning(update.id)) return false;
    return await isCommanded(this.#options.delivery.apply(update.id), false);
  }

  /** The update says itself what it came to: it waits, or was asked before. What waits already is told, since its campaign does not know. */
  async #hold(target: Target, order: LeasedOrder["order"]): Promise<boolean> {
    const update = await this.#updateHere(target, order);
    if (update === undefined || update.finishedAt !== null) return true;
    if (!update.apply) {
      this.#options.reports.add(update);
      return true;
    }
    if (!this.#options.delivery.isRunning(update.id)) return false;
    return await isCommanded(this.#options.delivery.hold(update.id), true);
  }

  /** Too late is done as well: a device that installs is not stopped. */
  async #cancel(target: Target, order: LeasedOrder["order"]): Promise<boolean> {
    const { campaignId, endpoint, wave } = target;
    const campaign = { id: campaignId, wave, attempt: order.attempt };
    if (target.imageId !== null && (await this.#ofAttempt(target, order)) === undefined) {
      const { stores, reports } = this.#options;
      const never = { endpoint, imageId: target.imageId, by: await this.#methodOf(campaignId), campaign };
      reports.add(await stores.updates.createCancelled(never, "cancelled: before it was begun"));
    }
    const update = await this.#updateHere(target, order);
    if (update === undefined || update.finishedAt !== null) return true;
    if (!this.#options.delivery.isRunning(update.id)) return false;
    return await isCommanded(this.#options.delivery.cancel(update.id), true);
  }

  /** The update of the attempt, driven here; what it came to is told when it has ended. */
  async #updateHere(target: Target, order: LeasedOrder["order"]): Promise<Update | undefined> {
    const { stores, delivery, reports } = this.#options;
    const update = await this.#ofAttempt(target, order);
    if (update === undefined) return undefined;
    if (update.finishedAt !== null) reports.add(update);
    else if (!delivery.isRunning(update.id)) {
      // The order came here because the device is at no other server that lives.
      await delivery.takeOver(await stores.updates.claimOf([target.endpoint]));
      if (!delivery.isRunning(update.id)) await this.takeUpOrdered();
    }
    return update;
  }

  #ofAttempt({ campaignId, endpoint }: Target, { attempt }: LeasedOrder["order"]): Promise<Update | undefined> {
    const which: CampaignAttempt = { campaignId, endpoint, attempt };
    return this.#options.stores.updates.ofAttempt(which);
  }

  async #methodOf(campaignId: string): Promise<DeliveryMethod> {
    return (await this.#policyOf(campaignId))?.by ?? "auto";
  }

  async #policyOf(campaignId: string): Promise<CampaignPolicy | undefined> {
    if (this.#policies.has(campaignId)) return this.#policies.get(campaignId);
    const policy = (await this.#options.stores.campaigns.get(campaignId))?.policy;
    if (this.#policies.size >= MOST_REMEMBERED) this.#policies.clear();
    this.#policies.set(campaignId, policy);
    return policy;
  }
}

/** Those leave whatever the campaign's state and windows are. */
const isRestraint = ({ order }: Pick<LeasedOrder, "order">): boolean =>
  order.kind === "hold" || order.kind === "cancel";

/** Whether an order is done whose command came to this. One that its campaign speaks against by now makes way for the next, or comes again. */
async function isCommanded(commanded: Promise<void>, isDoneWhenRefused: boolean): Promise<boolean> {
  try {
    await commanded;
    return true;
  } catch (error) {
    if (error instanceof UsageError && error.code === "UPDATE_FINISHED") return true;
    if (error instanceof UsageError && error.code === "UPDATE_STATE") return isDoneWhenRefused;
    if (error instanceof UsageError && error.code === "CAMPAIGN_PERMIT") return false;
    throw error;
  }
}
