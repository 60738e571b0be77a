/** A bounded memory of answers that may be a few seconds old. */

export interface ShortCacheOptions {
  /** Entries; the one unused for longest makes room. */
  readonly entryCount: number;
  readonly lifetimeMs: number;
  /** Monotonic milliseconds; another clock in tests. */
  readonly now?: () => number;
}

export class ShortCache<Value> {
  readonly #entries = new Map<string, { readonly value: Value; readonly untilMs: number }>();
  readonly #options: ShortCacheOptions;
  #generation = 0;

  constructor(options: ShortCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The kept answer, or `find`'s, which is kept unless it is `undefined`: what strangers ask for takes no room. */
  async get(key: string, find: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const kept = this.#entries.get(key);
    if (kept !== undefined && kept.untilMs > this.#nowMs) {
      this.#put(key, kept.value, kept.untilMs);
      return kept.value;
    }
    const generation = this.#generation;
    const value = await find();
    if (value === undefined) this.#entries.delete(key);
    // What was read before somebody emptied the memory is not put back.
    else if (generation === this.#generation) this.#put(key, value, this.#nowMs + this.#options.lifetimeMs);
    return value;
  }

  /** The entry, however old. */
  peek(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  clear(): void {
    this.#generation += 1;
    this.#entries.clear();
  }

  get #nowMs(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }

  #put(key: string, value: Value, untilMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs });
    if (this.#entries.size <= this.#options.entryCount) return;
    const [oldest] = this.#entries.keys();
    this.#entries.delete(oldest as string);
  }
}
