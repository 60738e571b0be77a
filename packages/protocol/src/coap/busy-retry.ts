/** A server that says 5.03 is asked again after the time it gave (RFC 7252 §5.9.3.4). */
import { CODE } from "./codes.ts";
import type { CoapResponse } from "./exchange.ts";
import { OPTION, optionUint } from "./options.ts";

export interface BusyLimits {
  /** How often in a row. */
  readonly maxRetries: number;
  /** The longest that is waited, whatever the server says. */
  readonly maxWaitMs: number;
}

/** A busy server is given up after 8 tries in a row, 16 minutes at the most. */
export const DEFAULT_BUSY_LIMITS: BusyLimits = { maxRetries: 8, maxWaitMs: 120_000 };

/** Max-Age of a response without the option. @see RFC 7252 §5.10.5 */
const DEFAULT_MAX_AGE_S = 60;

export class BusyRetry {
  readonly #limits: BusyLimits;
  #count = 0;

  constructor(limits: BusyLimits) {
    this.#limits = limits;
  }

  /** How long to wait before asking again; `undefined` when the response is another one or it was asked often enough. */
  waitMs(response: CoapResponse): number | undefined {
    if (response.code !== CODE.serviceUnavailable || this.#count >= this.#limits.maxRetries) return undefined;
    this.#count += 1;
    const maxAgeS = optionUint(response.options, OPTION.maxAge) ?? DEFAULT_MAX_AGE_S;
    return Math.min(Math.max(1, maxAgeS) * 1000, this.#limits.maxWaitMs);
  }

  /** The server did something useful. */
  reset(): void {
    this.#count = 0;
  }
}
