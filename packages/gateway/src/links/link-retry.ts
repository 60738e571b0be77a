/** Keeps something open that may break at any time: opens it, waits for its end, and opens it again, ever more slowly. */

/** What was opened. `ended` settles when it is of no more use. */
export interface OpenedWay {
  readonly ended: Promise<unknown>;
  close(): void;
}

/** In the field: a modem that is plugged in again is back within seconds, one that is gone is looked for twice a minute. */
export const DEFAULT_RETRY = { firstMs: 250, longestMs: 30_000 } as const;

export interface RetryOptions {
  readonly firstMs?: number;
  readonly longestMs?: number;
}

export class KeptOpen<Way extends OpenedWay> {
  openedCount = 0;
  /** Why the last attempt came to nothing; undefined after one that did not. */
  problem: string | undefined;
  #way: Way | undefined;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs: number;
  readonly #open: () => Promise<Way>;
  readonly #options: Required<RetryOptions>;

  constructor(open: () => Promise<Way>, options: RetryOptions = {}) {
    this.#open = open;
    this.#options = { ...DEFAULT_RETRY, ...options };
    this.#pauseMs = this.#options.firstMs;
  }

  /** What is open now. */
  get way(): Way | undefined {
    return this.#way;
  }

  /** Tries once; a failure is tried again later all the same. @returns Whether it is open. */
  async start(): Promise<boolean> {
    try {
      const way = await this.#open();
      if (this.#isClosed) {
        way.close();
        return false;
      }
      this.#way = way;
      this.openedCount += 1;
      this.problem = undefined;
      this.#pauseMs = this.#options.firstMs;
      way.ended.then(
        () => this.#lost(way),
        () => this.#lost(way),
      );
      return true;
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      this.#later();
      return false;
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#way?.close();
    this.#way = undefined;
  }

  #lost(way: Way): void {
    if (this.#way !== way) return;
    this.#way = undefined;
    way.close();
    this.#later();
  }

  #later(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.start(), this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, this.#options.longestMs);
  }
}
