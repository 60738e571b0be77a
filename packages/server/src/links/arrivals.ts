/** Devices that have registered here: what waits for them at other servers comes along. Gathered, so that a fleet that wakes at once is a few statements. */
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";

export interface ArrivalsOptions {
  /** May reject while the database is away; then it is called again. */
  readonly bringAlong: (endpoints: readonly string[]) => Promise<void>;
  readonly log: Logger;
  /** How long the first one waits for company. Default 100 ms. */
  readonly gatherMs?: number;
}

/** Devices of one statement. */
const DEVICES_AT_ONCE = 1_000;
/** Devices that may wait: as many as may be registered. */
const WAITING_LIMIT = 1_000_000;
/** The pause after the database was away. */
const RETRY_MS = 1_000;

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #waiting = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #bringing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  add(endpoint: string): void {
    if (this.#isClosed || this.#waiting.size >= WAITING_LIMIT) return;
    this.#waiting.add(endpoint);
    this.#arm(this.#options.gatherMs ?? 100);
  }

  /** Whoever waits still is brought along by the next run. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#bringing;
  }

  #arm(afterMs: number): void {
    if (this.#bringing !== undefined || this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      let pauseMs = 0;
      this.#bringing = this.#bringAll()
        .catch((error) => {
          pauseMs = RETRY_MS;
          const level = error instanceof AirliftError ? "warn" : "error";
          this.#options.log[level]({ err: error }, "what waits for devices elsewhere could not be brought along");
        })
        .finally(() => {
          this.#bringing = undefined;
          if (this.#waiting.size > 0) this.#arm(pauseMs);
        });
    }, afterMs).unref();
  }

  async #bringAll(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, DEVICES_AT_ONCE);
      for (const endpoint of batch) this.#waiting.delete(endpoint);
      try {
        await this.#options.bringAlong(batch);
      } catch (error) {
        if (error instanceof AirliftError) for (const endpoint of batch) this.#waiting.add(endpoint);
        throw error;
      }
    }
  }
}
