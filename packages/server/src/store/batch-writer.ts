/**
 * Saves what changes all the time, such as when a device was last seen: the newest value of a key waits in memory, and
 * one statement writes a thousand of them. While the database is away they keep waiting, up to a limit.
 */

export interface BatchWriterOptions {
  /** How old a value may get before it is written. Default 200 ms: nobody looks more often. */
  readonly flushAfterMs?: number;
  /** Rows of one statement, and how many waiting ones start a write at once. Default 1000. */
  readonly batchRows?: number;
  /** How many keys may wait, at 0.5 … 1 kB each. Default 100,000. */
  readonly capacityRows?: number;
  /** The pause after a failed write doubles from the first to the last of these. Default 200 ms … 10 s. */
  readonly retryMs?: readonly [number, number];
  /** Whether trying again can never help: then the row at fault is found and dropped, so that it holds up no other. */
  readonly isPermanent?: (error: unknown) => boolean;
  /** Called with every failed write; the rows wait again, or one was dropped. */
  readonly onFailure?: (error: unknown, waitingRows: number) => void;
}

export class BatchWriter<Row> {
  readonly #write: (rows: readonly Row[]) => Promise<void>;
  readonly #merge: (older: Row, newer: Row) => Row;
  readonly #flushAfterMs: number;
  readonly #batchRows: number;
  readonly #capacityRows: number;
  readonly #retryMs: readonly [number, number];
  readonly #isPermanent: (error: unknown) => boolean;
  readonly #onFailure: (error: unknown, waitingRows: number) => void;
  /** In the order in which the keys first came. */
  readonly #waiting = new Map<string, Row>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** Never rejects. */
  #lastFlush: Promise<void> = Promise.resolve();
  #nextFlush: Promise<void> | undefined;
  #failures = 0;
  #isClosed = false;

  /** @param merge What is written when a key comes again before it was; the newer one by default. */
  constructor(
    write: (rows: readonly Row[]) => Promise<void>,
    options: BatchWriterOptions & { merge?: (older: Row, newer: Row) => Row } = {},
  ) {
    this.#write = write;
    this.#merge = options.merge ?? ((_, newer) => newer);
    this.#flushAfterMs = options.flushAfterMs ?? 200;
    this.#batchRows = options.batchRows ?? 1000;
    this.#capacityRows = options.capacityRows ?? 100_000;
    this.#retryMs = options.retryMs ?? [200, 10_000];
    this.#isPermanent = options.isPermanent ?? (() => false);
    this.#onFailure = options.onFailure ?? (() => {});
  }

  get waitingRows(): number {
    return this.#waiting.size;
  }

  /** False when the limit is reached and `row` was dropped; a key that waits already is always replaced. */
  put(key: string, row: Row): boolean {
    const older = this.#waiting.get(key);
    if (older === undefined && (this.#waiting.size >= this.#capacityRows || this.#isClosed)) return false;
    this.#waiting.set(key, older === undefined ? row : this.#merge(older, row));
    if (this.#running === undefined && this.#failures === 0)
      this.#arm(this.#waiting.size >= this.#batchRows ? 0 : this.#flushAfterMs);
    return true;
  }

  /** Forgets what waits for `key`. */
  drop(key: string): void {
    this.#waiting.delete(key);
  }

  /**
   * Writes all that waits now; what comes meanwhile waits for its own turn, or a busy fleet would never let this end. Those that ask
   * while others are served are served together, after them: what is on its way for another may still fail.
   *
   * @throws What the write throws; the rows wait again.
   */
  flush(): Promise<void> {
    this.#nextFlush ??= this.#lastFlush.then(() => this.#flush());
    return this.#nextFlush;
  }

  async #flush(): Promise<void> {
    const flushed = this.#flushAll();
    this.#lastFlush = flushed.catch(() => {});
    this.#nextFlush = undefined;
    await flushed;
  }

  async #flushAll(): Promise<void> {
    await this.#running?.catch(() => {});
    // The longest waiting go first, so that after so many rows all of them have gone.
    for (let leftRows = this.#waiting.size; leftRows > 0; leftRows -= this.#batchRows) await this.#run();
  }

  /** Writes what waits, tries no more, and takes nothing more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush().finally(() => clearTimeout(this.#timer));
  }

  #arm(afterMs: number): void {
    if (this.#timer !== undefined && afterMs > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run().catch(() => {}), afterMs);
  }

  #run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#writeBatch().finally(() => {
      this.#running = undefined;
      if (this.#waiting.size > 0 && !this.#isClosed) this.#arm(this.#pauseMs());
    });
    return this.#running;
  }

  async #writeBatch(): Promise<void> {
    const batch: [string, Row][] = [];
    for (const entry of this.#waiting) {
      if (batch.length === this.#batchRows) break;
      batch.push(entry);
      this.#waiting.delete(entry[0]);
    }
    try {
      await this.#writeRows(batch.map(([, row]) => row));
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      for (const [key, row] of batch) {
        const newer = this.#waiting.get(key);
        this.#waiting.set(key, newer === undefined ? row : this.#merge(row, newer));
      }
      this.#onFailure(error, this.#waiting.size);
      throw error;
    }
  }

  async #writeRows(rows: readonly Row[]): Promise<void> {
    try {
      await this.#write(rows);
    } catch (error) {
      if (!this.#isPermanent(error)) throw error;
      if (rows.length === 1) return this.#onFailure(error, this.#waiting.size);
      const half = Math.ceil(rows.length / 2);
      await this.#writeRows(rows.slice(0, half));
      await this.#writeRows(rows.slice(half));
    }
  }

  #pauseMs(): number {
    const [first, last] = this.#retryMs;
    if (this.#failures > 0) return Math.min(last, first * 2 ** (this.#failures - 1));
    return this.#waiting.size >= this.#batchRows ? 0 : this.#flushAfterMs;
  }
}
