/** How often something was refused, by code: what an operator looks at when a device stays behind. */
import { PeerError } from "../lib/errors.ts";

/** Codes that are counted apart; what comes under yet another one is counted as `OTHER`. Our own codes are fewer. */
export const DEFAULT_MAX_CODES = 64;

export class Refusals {
  readonly #counts = new Map<string, number>();
  readonly #maxCodes: number;

  constructor(maxCodes: number = DEFAULT_MAX_CODES) {
    this.#maxCodes = maxCodes;
  }

  /** Code and count, the one refused first comes first. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  get total(): number {
    let total = 0;
    for (const count of this.#counts.values()) total += count;
    return total;
  }

  count(code: string): void {
    const key = this.#counts.has(code) || this.#counts.size < this.#maxCodes ? code : "OTHER";
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** What `work` returns, or `undefined` when it throws a PeerError, which is counted. Other errors pass. @param refused Told the code. */
  guard<Result>(work: () => Result, refused?: (code: string) => void): Result | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.count(error.code);
      refused?.(error.code);
      return undefined;
    }
  }
}
