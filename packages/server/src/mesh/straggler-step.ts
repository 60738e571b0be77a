/** What is done for a device whose broadcast is over and that does not have the image: nothing yet, a question, another broadcast, or no more. */
import type { SessionOutcome } from "@airlift/protocol/api/gateway";

/** What is known of such a device. */
export interface StragglerFacts {
  /** How the broadcast ended. */
  readonly outcome: SessionOutcome;
  readonly endedAgoMs: number;
  /** The device said since then that it lacks packets. */
  readonly wasHeard: boolean;
  /** It was asked alone since then. */
  readonly wasAsked: boolean;
  /** Broadcasts that it was part of. */
  readonly broadcastCount: number;
}

export type StragglerStep = "leave" | "ask" | "broadcast" | "giveUp";

/** Broadcasts of one attempt: what three of them do not bring, a fourth does not either. */
export const MOST_BROADCASTS = 3;
/** A device that was asked to fetch what it lacks has so many times the quiet time for it. */
const QUIET_TIMES_TO_FETCH = 3;

/** @param quietMs How long a device may be quiet before it is asked: those that say nothing are asked then, and are left alone here. */
export function stragglerStep(facts: StragglerFacts, quietMs: number): StragglerStep {
  const { outcome, endedAgoMs, wasHeard, wasAsked, broadcastCount } = facts;
  if (outcome === "cancelled") return "leave";
  const once = broadcastCount < MOST_BROADCASTS ? "broadcast" : "giveUp";
  // A gateway that could not finish may be able to a little later, and then a little later still.
  if (outcome !== "finished") return endedAgoMs < quietMs * broadcastCount ? "leave" : once;
  if (!wasHeard) return "leave";
  if (!wasAsked) return "ask";
  return endedAgoMs < QUIET_TIMES_TO_FETCH * quietMs ? "leave" : once;
}
