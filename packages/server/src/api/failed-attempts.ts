/** How often an address has shown a token that is not good, and how long it has to wait now. Bounded, without a clock. */
import { hostOf } from "../fleet/host.ts";

export interface FailedAttemptsOptions {
  /** Failures without a wait: a mistyped token, a job with an old one. Default 10. */
  readonly freeCount?: number;
  /** The first wait; it doubles with every failure. Default 1 s. */
  readonly firstWaitMs?: number;
  /** Default 60 s. */
  readonly longestWaitMs?: number;
  /** An address that fails no more is forgotten after this. Default 15 min. */
  readonly forgottenAfterMs?: number;
  /** Addresses kept; the one that failed longest ago makes room. Default 10,000. */
  readonly addressCount?: number;
}

interface Failing {
  readonly count: number;
  readonly lastAtMs: number;
  readonly waitsUntilMs: number;
}

export class FailedAttempts {
  readonly #failing = new Map<string, Failing>();
  readonly #options: Required<FailedAttemptsOptions>;

  constructor(options: FailedAttemptsOptions = {}) {
    this.#options = {
      freeCount: 10,
      firstWaitMs: 1000,
      longestWaitMs: 60_000,
      forgottenAfterMs: 900_000,
      addressCount: 10_000,
      ...options,
    };
  }

  get size(): number {
    return this.#failing.size;
  }

  /** Milliseconds that `address` has to wait before it may try again; 0 = it may. */
  waitMs(address: string, nowMs: number): number {
    return Math.max(0, (this.#failing.get(hostOf(address))?.waitsUntilMs ?? 0) - nowMs);
  }

  fail(address: string, nowMs: number): void {
    const { freeCount, firstWaitMs, longestWaitMs, forgottenAfterMs, addressCount } = this.#options;
    const host = hostOf(address);
    const known = this.#failing.get(host);
    const count = known === undefined || nowMs - known.lastAtMs > forgottenAfterMs ? 1 : known.count + 1;
    // 2^40 ms is longer than any wait, and far from where doubling loses its meaning.
    const waitMs =
      count <= freeCount ? 0 : Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(40, count - freeCount - 1));
    this.#failing.delete(host);
    this.#failing.set(host, { count, lastAtMs: nowMs, waitsUntilMs: nowMs + waitMs });
    if (this.#failing.size <= addressCount) return;
    const [oldest] = this.#failing.keys();
    this.#failing.delete(oldest as string);
  }
}
