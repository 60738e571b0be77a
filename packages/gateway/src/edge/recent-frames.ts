/** Which frames were heard lately, so that one which comes twice counts once. */

/** Frames remembered: the events of 10 000 devices. */
export const DEFAULT_MAX_RECENT = 16_384;

export class RecentFrames {
  readonly #seen = new Set<string>();
  readonly #maxCount: number;

  constructor(maxCount: number = DEFAULT_MAX_RECENT) {
    this.#maxCount = maxCount;
  }

  /** Whether it is new. */
  add(key: string): boolean {
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    if (this.#seen.size > this.#maxCount) {
      const [oldest] = this.#seen;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    return true;
  }
}
