/** The time of day as the server tells it; between two answers it runs on the monotonic clock, so that no one sets it back. */

/** Before a server has answered, the machine's own clock is believed if it is not behind what was seen before, nor a month ahead. */
const LARGEST_LEAP_MS = 31 * 24 * 3_600_000;

export class WallClock {
  /** Unix time at which the monotonic clock showed 0. */
  #originMs: number;
  #isTrusted: boolean;

  /** @param lastSeenMs Unix time that an earlier run was sure of; `undefined` = none. */
  constructor(lastSeenMs: number | undefined, systemUtcMs = Date.now(), nowMs = monotonicMs()) {
    this.#originMs = systemUtcMs - nowMs;
    this.#isTrusted =
      lastSeenMs !== undefined && systemUtcMs >= lastSeenMs && systemUtcMs <= lastSeenMs + LARGEST_LEAP_MS;
  }

  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  /** Unix milliseconds. */
  utcMs(nowMs = monotonicMs()): number {
    return Math.max(0, Math.round(this.#originMs + nowMs));
  }

  /** When the monotonic clock will show a time of day. */
  toMonotonicMs(utcMs: number): number {
    return utcMs - this.#originMs;
  }

  /** Takes over the server's time. @param roundTripMs Of the request that brought it. */
  set(serverUtcMs: number, roundTripMs: number, nowMs = monotonicMs()): void {
    const originMs = serverUtcMs + roundTripMs / 2 - nowMs;
    // Within what the way may have cost, the present idea is as good: a clock that jitters would move windows.
    if (this.#isTrusted && Math.abs(originMs - this.#originMs) <= roundTripMs / 2 + 20) return;
    this.#originMs = originMs;
    this.#isTrusted = true;
  }
}

/** The monotonic clock that everything here runs on: that of the machine, as the ledger's records have it. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;
