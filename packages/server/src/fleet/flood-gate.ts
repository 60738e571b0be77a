/** How many notifications of one device are taken, and when it is told to stop. Pure. */

export interface FloodGateOptions {
  /** Notifications taken in a second, on average. */
  readonly perSecond?: number;
  /** Taken at once after a silence. */
  readonly burst?: number;
  /** How long a device may go on with more than that. */
  readonly toleranceMs?: number;
}

/** A reading every 20 ms: what is faster is a stream, which LwM2M is not for. */
export const DEFAULT_NOTIFICATIONS_PER_SECOND = 50;
export const DEFAULT_NOTIFICATION_BURST = 200;
export const DEFAULT_FLOOD_TOLERANCE_MS = 5_000;

/** `take` it · `drop` it · `stop`: it has been too much for too long, the observation is to be ended. */
export type FloodVerdict = "take" | "drop" | "stop";

/** A bucket that fills with time; a drop begins a flood, and a full bucket ends it. */
export class FloodGate {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #toleranceMs: number;
  #tokens: number;
  #filledAtMs: number;
  #floodSinceMs: number | undefined;

  constructor(nowMs: number, options: FloodGateOptions = {}) {
    this.#perSecond = options.perSecond ?? DEFAULT_NOTIFICATIONS_PER_SECOND;
    this.#burst = options.burst ?? DEFAULT_NOTIFICATION_BURST;
    this.#toleranceMs = options.toleranceMs ?? DEFAULT_FLOOD_TOLERANCE_MS;
    this.#tokens = this.#burst;
    this.#filledAtMs = nowMs;
  }

  /** A notification arrived at `nowMs` (monotonic). */
  notified(nowMs: number): FloodVerdict {
    const gained = ((nowMs - this.#filledAtMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAtMs = nowMs;
    if (this.#tokens >= this.#burst) this.#floodSinceMs = undefined;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return "take";
    }
    this.#floodSinceMs ??= nowMs;
    return nowMs - this.#floodSinceMs >= this.#toleranceMs ? "stop" : "drop";
  }
}
