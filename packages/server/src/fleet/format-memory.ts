/** Which content formats a device has refused, so that it is not asked in them again. Bounded. */

export interface FormatMemoryOptions {
  /** Devices remembered; the one that was asked longest ago is forgotten first. */
  readonly deviceLimit?: number;
}

/** A few hundred octets each. */
export const DEFAULT_FORMAT_DEVICE_LIMIT = 10_000;

const NONE: ReadonlySet<number> = new Set();

export class FormatMemory {
  readonly #limit: number;
  readonly #refused = new Map<string, Set<number>>();

  constructor(options: FormatMemoryOptions = {}) {
    this.#limit = options.deviceLimit ?? DEFAULT_FORMAT_DEVICE_LIMIT;
  }

  get size(): number {
    return this.#refused.size;
  }

  /** @param use What the format was for: a device may take one for a value that it does not for an instance. */
  refusedBy(endpoint: string, use: string): ReadonlySet<number> {
    return this.#refused.get(keyOf(endpoint, use)) ?? NONE;
  }

  remember(endpoint: string, use: string, format: number): void {
    const key = keyOf(endpoint, use);
    const refused = this.#refused.get(key) ?? new Set<number>();
    this.#refused.delete(key);
    this.#refused.set(key, refused.add(format));
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > this.#limit && oldest !== undefined) this.#refused.delete(oldest);
  }
}

const keyOf = (endpoint: string, use: string): string => `${use} ${endpoint}`;
