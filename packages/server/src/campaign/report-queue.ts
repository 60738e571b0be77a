/**
 * Reports of one campaign share a transaction: those that come while one is being written wait for it, and are written
 * together after it. A report that comes alone is written at once.
 */
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { Campaign } from "./campaign.ts";
import type { UpdateNews } from "./follow-update.ts";

/** What delivery tells of one attempt of one device, UTC milliseconds of when it did. */
export interface Report {
  readonly endpoint: string;
  readonly news: UpdateNews;
  readonly utcMs: number;
}

export interface ReportQueueOptions {
  /** Reports of one transaction: enough to hide the commit, few enough to answer the first of them soon. Default 200. */
  readonly batchSize?: number;
  /** Reports of one campaign that may wait: some seconds' worth. Default 20,000. */
  readonly mostWaiting?: number;
}

interface Waiting {
  readonly report: Report;
  readonly resolve: (campaign: Campaign) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes reports of a campaign in their order, each device at most once; all of them or none. */
type WriteReports = (campaignId: string, reports: readonly Report[]) => Promise<Campaign>;

export class ReportQueue {
  readonly #write: WriteReports;
  readonly #batchSize: number;
  readonly #mostWaiting: number;
  /** By campaign; there while something is being written for it. */
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(write: WriteReports, options: ReportQueueOptions = {}) {
    this.#write = write;
    this.#batchSize = options.batchSize ?? 200;
    this.#mostWaiting = options.mostWaiting ?? 20_000;
  }

  /**
   * Resolves with the campaign as it was saved with the report.
   *
   * @throws {EnvironmentError} STORE_BUSY when too many wait; and what the write throws.
   */
  async put(campaignId: string, report: Report): Promise<Campaign> {
    const known = this.#waiting.get(campaignId);
    const waiting = known ?? [];
    if (waiting.length >= this.#mostWaiting)
      throw new EnvironmentError("STORE_BUSY", "too many reports wait for the database", { waiting: waiting.length });
    const written = new Promise<Campaign>((resolve, reject) => waiting.push({ report, resolve, reject }));
    if (known === undefined) {
      this.#waiting.set(campaignId, waiting);
      void this.#writeWaiting(campaignId, waiting);
    }
    return await written;
  }

  async #writeWaiting(campaignId: string, waiting: Waiting[]): Promise<void> {
    while (waiting.length > 0) await this.#writeBatch(campaignId, this.#takeBatch(waiting));
    this.#waiting.delete(campaignId);
  }

  /** Up to the second report of a device: each of its sentences is an event of its own. */
  #takeBatch(waiting: Waiting[]): Waiting[] {
    const endpoints = new Set<string>();
    for (const { report } of waiting) {
      if (endpoints.size === this.#batchSize || endpoints.has(report.endpoint)) break;
      endpoints.add(report.endpoint);
    }
    return waiting.splice(0, endpoints.size);
  }

  async #writeBatch(campaignId: string, batch: readonly Waiting[]): Promise<void> {
    try {
      const campaign = await this.#write(
        campaignId,
        batch.map(({ report }) => report),
      );
      for (const { resolve } of batch) resolve(campaign);
    } catch (error) {
      // One that cannot be written must not take the others with it; a database that is away is away for all.
      const isOfAll = error instanceof EnvironmentError || error instanceof UsageError;
      if (batch.length === 1 || isOfAll) for (const { reject } of batch) reject(error);
      else for (const one of batch) await this.#writeBatch(campaignId, [one]);
    }
  }
}
