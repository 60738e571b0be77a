/**
 * What updates came to, on its way to their campaigns: the newest of each device waits, and one turn of a campaign takes all that
 * came in during its last one. What cannot be told now is told again; what a server takes to its grave is found by `unheard`.
 */
import type { Update } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { CampaignEngine } from "../campaign/engine.ts";
import type { UpdateNews } from "../campaign/follow-update.ts";

export interface CampaignReportsOptions {
  readonly engine: Pick<CampaignEngine, "reportAll">;
  readonly utcMs: () => number;
  /** A campaign has heard news: orders may wait. */
  readonly onReported: () => void;
  /** News could not be told. They are told again when the database is away, and with the next search for unheard ones. */
  readonly onFailure: (error: unknown, campaignId: string) => void;
}

/** News that one transaction takes: a few tens of milliseconds' worth, so that a threshold acts at once. */
const NEWS_AT_ONCE = 50;
/** Pause before news are told again that the database could not take. */
const RETRY_MS = 1_000;

export class CampaignReports {
  readonly #options: CampaignReportsOptions;
  /** By campaign, then by device. */
  readonly #waiting = new Map<string, Map<string, UpdateNews>>();
  readonly #telling = new Map<string, Promise<void>>();
  #isClosed = false;

  constructor(options: CampaignReportsOptions) {
    this.#options = options;
  }

  /** Soon, and in the order in which they come; of one device's only the newest. */
  add({ campaignId, endpoint, attempt, state, failure, sentence }: UpdateReport): void {
    if (campaignId === null || state === "queued" || this.#isClosed) return;
    const waiting = this.#waiting.get(campaignId) ?? new Map<string, UpdateNews>();
    this.#waiting.set(campaignId, waiting);
    // Behind those that have waited longer.
    waiting.delete(endpoint);
    waiting.set(endpoint, { attempt, state, failure, sentence });
    if (!this.#telling.has(campaignId)) this.#telling.set(campaignId, this.#tell(campaignId, waiting));
  }

  /** Resolves when all that waits has been told, or has failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#telling.values());
  }

  /** Tries nothing again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.settle();
  }

  async #tell(campaignId: string, waiting: Map<string, UpdateNews>): Promise<void> {
    const { engine, utcMs, onReported, onFailure } = this.#options;
    while (waiting.size > 0) {
      const batch = [...waiting].slice(0, NEWS_AT_ONCE).map(([endpoint, news]) => ({ endpoint, ...news }));
      for (const { endpoint } of batch) waiting.delete(endpoint);
      try {
        await engine.reportAll(campaignId, batch, utcMs());
        onReported();
      } catch (error) {
        onFailure(error, campaignId);
        if (!(error instanceof EnvironmentError) || this.#isClosed) continue;
        for (const { endpoint, ...news } of batch) if (!waiting.has(endpoint)) waiting.set(endpoint, news);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    this.#telling.delete(campaignId);
    this.#waiting.delete(campaignId);
  }
}

/** What of an update its campaign hears. */
export type UpdateReport = Pick<Update, "campaignId" | "endpoint" | "attempt" | "state" | "failure" | "sentence">;
