/** Which of an update's looks at its device is the newest, and what an answer to an older one is still worth. */

/** Looks in one poll interval: a device that notifies without end is asked no more often. */
const LOOKS_AT_ONCE = 20;

export class Looks {
  #count = 0;
  #isPending = false;
  /** Looks up to this number were asked for before the last request, and say nothing about its effect. */
  #staleCount = 0;
  #busy = { sinceMs: 0, count: 0 };

  /** The number of a new look; `undefined` while one is on its way that was asked for late enough. */
  begin(): number | undefined {
    if (this.#isPending && this.#count > this.#staleCount) return undefined;
    this.#count += 1;
    this.#isPending = true;
    return this.#count;
  }

  ended(look: number): void {
    if (look === this.#count) this.#isPending = false;
  }

  /** The device is asked for something, or has started anew: what was looked at before tells of the time before. */
  outdate(): void {
    this.#staleCount = this.#count;
  }

  isStale(look: number): boolean {
    return look <= this.#staleCount;
  }

  isNewest(look: number): boolean {
    return look === this.#count;
  }

  /** Whether one more notification would make it too many looks for one interval. */
  isFlooded(nowMs: number, intervalMs: number): boolean {
    if (nowMs - this.#busy.sinceMs >= intervalMs) this.#busy = { sinceMs: nowMs, count: 0 };
    this.#busy.count += 1;
    return this.#busy.count > LOOKS_AT_ONCE;
  }
}
