/** Devices that ended badly, tried again by hand. */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Candidate } from "./device.ts";
import { canMove, moveTarget, type Target } from "./target.ts";

/** Which devices are tried again: one, or those that come after an endpoint (null = from the first on), a batch of them. */
export type RetryQuery = { readonly endpoint: string } | { readonly after: string | null };

/** How many devices were put back; `last`: the last of them, after which there may be more; null = that was all. */
export interface Retried {
  readonly count: number;
  readonly last: string | null;
}

/** @throws {UsageError} `UNKNOWN_TARGET` (404), `TARGET_STATE` (409) */
export function requireRetryable(candidate: Candidate | undefined, endpoint: string): Target {
  if (!candidate) throw new UsageError("UNKNOWN_TARGET", `${endpoint} is not in the campaign`, { endpoint });
  const { target } = candidate;
  if (canMove(target, "againByHand")) return target;
  const sentence = `${endpoint} is ${target.state}: there is nothing to try again`;
  throw new UsageError("TARGET_STATE", sentence, { endpoint, state: target.state });
}

/** With a clean sheet: what failed before counts no more. */
export const triedAgain = (target: Target, utcMs: number): Target =>
  moveTarget(target, "againByHand", {
    sentence: "waiting: tried again by hand",
    notBeforeMs: utcMs,
    failures: {},
    failure: null,
  });
