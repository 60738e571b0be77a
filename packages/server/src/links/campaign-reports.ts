/**
 * What updates came to, on its way to their campaigns: the newest of each device waits, and one turn of a campaign takes all that
 * came in during its last one. What cannot be told now is told again; what a server takes to its grave is found by `unheard`.
 */
import type { Update } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { CampaignEngine } from "../campaign/engine.ts";
import type { UpdateNews } from "../campaign/follow-update.ts";

export interface CampaignReportsOptions {
  readonly engine: Pick<CampaignEngine, "report">;
  readonly utcMs: () => number;
  /** A campaign has heard news: orders may wait. */
  readonly onReported: () => void;
  /** News could not be told. They are told again when the database is away, and with the next search for unheard ones. */
  readonly onFailure: (error: unknown, campaignId: string) => void;
}

/** News that are on their way at once; the engine writes them together. */
const NEWS_AT_ONCE = 200;
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
  add({ campaignId, endpoint, ...news }: UpdateReport): void {
    if (campaignId === null || news.state === "queued" || this.#isClosed) return;
    const waiting = this.#waiting.get(campaignId) ?? new Map<string, UpdateNews>();
    this.#waiting.set(campaignId, waiting);
    // Behind those that have waited longer.
    waiting.delete(endpoint);
    const { attempt, state, failure, sentence, acknowledgedBytes } = news;
    waiting.set(endpoint, { attempt, state, failure, sentence, acknowledgedBytes });
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
    while (waiting.size > 0) {
      const batch = [...waiting].slice(0, NEWS_AT_ONCE);
      for (const [endpoint] of batch) waiting.delete(endpoint);
      const isAway = await this.#tellBatch(campaignId, batch, waiting);
      if (isAway) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    this.#telling.delete(campaignId);
    this.#waiting.delete(campaignId);
  }

  /** Whether the database could not take them: then they wait again. */
  async #tellBatch(
    campaignId: string,
    batch: readonly (readonly [string, UpdateNews])[],
    waiting: Map<string, UpdateNews>,
  ): Promise<boolean> {
    const { engine, utcMs, onReported, onFailure } = this.#options;
    let failure: unknown;
    await Promise.all(
      batch.map(async ([endpoint, news]) => {
        try {
          await engine.report({ campaignId, endpoint }, news, utcMs());
        } catch (error) {
          failure = error;
          if (error instanceof EnvironmentError && !this.#isClosed && !waiting.has(endpoint))
            waiting.set(endpoint, news);
        }
      }),
    );
    if (failure === undefined) onReported();
    else onFailure(failure, campaignId);
    return failure instanceof EnvironmentError && !this.#isClosed;
  }
}

/** What of an update its campaign hears. */
export type UpdateReport = Pick<Update, "campaignId" | "endpoint" | "attempt" | "state" | "failure" | "sentence"> &
  Pick<UpdateNews, "acknowledgedBytes">;
