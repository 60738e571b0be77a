/**
 * The shell that runs campaigns: turns to those that are due, has their orders carried out, and tells them what became of it. All of it
 * may be done again, by this server or another, at any time: what counts is on record.
 */

import { AirliftError } from "@airlift/protocol/lib/errors";
import { offsetAt } from "@airlift/runtime/zone-offset";
import type { Logger } from "pino";
import type { Campaign } from "../campaign/campaign.ts";
import { CampaignEngine, type SpokenCommand } from "../campaign/engine.ts";
import type { Retried, RetryQuery } from "../campaign/retry.ts";
import type { UnheardNews } from "../store/campaign-news.ts";
import type { Stores } from "../store/ports.ts";
import type { BroadcastDelivery } from "./broadcast-delivery.ts";
import { CampaignOrders } from "./campaign-orders.ts";
import { CampaignReports, type UpdateReport } from "./campaign-reports.ts";
import type { DeliveryEngine } from "./delivery-engine.ts";
import { DeviceNews } from "./device-news.ts";

export interface CampaignRunnerOptions {
  readonly stores: Pick<Stores, "campaigns" | "devices" | "events" | "updates" | "nodes">;
  readonly delivery: Pick<
    DeliveryEngine,
    "apply" | "hold" | "cancel" | "isRunning" | "restore" | "takeOver" | "letGo" | "letGoAll" | "resume"
  >;
  /** For devices behind radio gateways. */
  readonly broadcast?: Pick<BroadcastDelivery, "take"> | undefined;
  readonly log: Logger;
  /** Wall time. */
  readonly utcMs?: (() => number) | undefined;
}

/** How often clocks are looked at: windows that open, soak times that end, retries that are due. */
const SWEEP_MS = 1_000;
/** How often campaigns are compared with their updates, and how long an update must have been quiet for it. */
const COMPARE_MS = 10_000;
/** News of one statement. */
const NEWS_AT_ONCE = 1_000;

export class CampaignRunner {
  readonly #options: CampaignRunnerOptions;
  readonly #utcMs: () => number;
  readonly #engine: CampaignEngine;
  readonly #orders: CampaignOrders;
  readonly #reports: CampaignReports;
  readonly #news: DeviceNews;
  #timer: NodeJS.Timeout | undefined;
  #turning: Promise<void> | undefined;
  #isWanted = false;
  /** Updates may have been created for this server. */
  #isOrdered = true;
  #comparedAtMs = Number.NEGATIVE_INFINITY;
  #stopListening: (() => void) | undefined;
  #isClosed = false;

  constructor(options: CampaignRunnerOptions) {
    const { stores, delivery, broadcast, log } = options;
    this.#options = options;
    this.#utcMs = options.utcMs ?? (() => Date.now());
    const utcMs = this.#utcMs;
    this.#engine = new CampaignEngine(stores.campaigns, offsetAt);
    const onWoken = () => this.wake();
    const engine = this.#engine;
    this.#reports = new CampaignReports({
      engine,
      utcMs,
      onReported: onWoken,
      onFailure: (error, campaignId) =>
        this.#complain(error, "a campaign could not be told of its updates", campaignId),
    });
    this.#news = new DeviceNews({ stores, delivery, engine, utcMs, onWoken, log });
    this.#orders = new CampaignOrders({ stores, delivery, broadcast, reports: this.#reports, log });
  }

  /** Begins; from then on campaigns go on by themselves. */
  start(): void {
    this.#stopListening = this.#options.stores.events.subscribe(({ kind, facts }) => {
      // A campaign was started or stopped, here or at another server; an update was created for a device of this one.
      if (kind === "campaign.transition" || kind === "wave.transition") this.wake();
      if (kind !== "update.transition" || facts["state"] !== "queued") return;
      this.#isOrdered = true;
      this.wake();
    });
    this.#timer = setInterval(() => this.wake(), SWEEP_MS).unref();
    this.wake();
  }

  /** As the engine's; what follows from it is on its way when this resolves. */
  async command(campaignId: string, command: SpokenCommand, utcMs = this.#utcMs()): Promise<Campaign> {
    const campaign = await this.#engine.command(campaignId, command, utcMs);
    this.wake();
    return campaign;
  }

  /** As the engine's. */
  async retry(campaignId: string, which: RetryQuery, utcMs = this.#utcMs()): Promise<Retried> {
    const retried = await this.#engine.retry(campaignId, which, utcMs);
    this.wake();
    return retried;
  }

  /** Something may be due: looks at once, and once more if it is looking already. */
  wake(): void {
    this.#isWanted = true;
    if (this.#isClosed) return;
    this.#turning ??= this.#turn().finally(() => {
      this.#turning = undefined;
    });
  }

  /** An update's change is on record. */
  onTransition(update: UpdateReport): void {
    this.#reports.add(update);
  }

  /** A device registered here: it takes its update along. */
  onRegistered(endpoint: string): void {
    this.#news.add(endpoint, true);
  }

  /** What is known of a device may have changed. */
  onDevice(endpoint: string): void {
    this.#news.add(endpoint, false);
  }

  /** Resolves when nothing is left to do that is known of. For tests. */
  async settle(): Promise<void> {
    await this.#news.flush();
    while (this.#turning !== undefined) {
      await this.#turning;
      await this.#reports.settle();
    }
  }

  /** Leaves everything as it is on record. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#stopListening?.();
    await this.#news.close();
    await this.#turning;
    await this.#reports.close();
  }

  async #turn(): Promise<void> {
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false;
      try {
        await this.#turnOnce();
      } catch (error) {
        this.#complain(error, "campaigns could not be turned to");
      }
    }
  }

  async #turnOnce(): Promise<void> {
    const { stores, delivery } = this.#options;
    if (!stores.nodes.holdsLease) {
      delivery.letGoAll();
      return;
    }
    await delivery.resume();
    await this.#compare();
    const dueCount = await this.#engine.sweep(this.#utcMs());
    const orderCount = await this.#orders.carryOut(this.#utcMs());
    if (orderCount > 0) this.#isOrdered = true;
    await this.#takeUpOrdered();
    if (dueCount > 0 || orderCount > 0) this.#isWanted = true;
  }

  async #takeUpOrdered(): Promise<void> {
    if (!this.#isOrdered) return;
    this.#isOrdered = false;
    try {
      await this.#orders.takeUpOrdered();
    } catch (error) {
      this.#isOrdered = true;
      throw error;
    }
  }

  /** What was stored when a server ended before it could tell the campaign. */
  async #compare(): Promise<void> {
    const { campaigns } = this.#options.stores;
    const nowMs = performance.now();
    const isFirst = this.#comparedAtMs === Number.NEGATIVE_INFINITY;
    if (nowMs - this.#comparedAtMs < COMPARE_MS) return;
    this.#comparedAtMs = nowMs;
    this.#isOrdered = true;
    const quietMs = isFirst ? 0 : COMPARE_MS;
    for (let afterSeq: number | undefined = 0; afterSeq !== undefined; ) {
      const page: readonly UnheardNews[] = await campaigns.unheard({ quietMs, afterSeq, limit: NEWS_AT_ONCE });
      for (const news of page) this.#reports.add(news);
      afterSeq = page.length === NEWS_AT_ONCE ? page.at(-1)?.seq : undefined;
    }
  }

  #complain(error: unknown, what: string, campaignId?: string): void {
    if (this.#isClosed) return;
    if (error instanceof AirliftError) this.#options.log.warn({ code: error.code, campaignId }, what);
    else this.#options.log.error({ err: error, campaignId }, what);
  }
}
