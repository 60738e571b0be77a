/** The words for one device's update as the operator sees it, in the store, the API, the console and the command line. */

/** Where one device's update stands. The last six are final. */
export const UPDATE_STATES = [
  "queued",
  "waiting",
  "transferring",
  "downloaded",
  "waitingToApply",
  "applying",
  "confirming",
  "succeeded",
  "failed",
  "silent",
  "fellBack",
  "cancelled",
  "skipped",
] as const;

export type UpdateState = (typeof UPDATE_STATES)[number];

/** The states an update never leaves. */
export const FINAL_UPDATE_STATES = ["succeeded", "failed", "silent", "fellBack", "cancelled", "skipped"] as const;

export type FinalUpdateState = (typeof FINAL_UPDATE_STATES)[number];

export function isFinalUpdateState(state: UpdateState): state is FinalUpdateState {
  return (FINAL_UPDATE_STATES as readonly string[]).includes(state);
}

/**
 * Why an update failed. The first twelve are what the device says with its Update Result (objects 5 and 33629, resource 5);
 * the others are what the server saw.
 */
export const FAILURE_KINDS = [
  "noFlash",
  "noMemory",
  "connectionLost",
  "integrityFailed",
  "unsupportedPackage",
  "invalidUri",
  "updateFailed",
  "unsupportedProtocol",
  "cancelledByDevice",
  "deferredTooLong",
  "conflictingState",
  "dependencyError",
  "rejected",
  "timedOut",
  "wrongVersion",
  "noFirmwareUpdateObject",
  "noCommonMethod",
] as const;

export type FailureKind = (typeof FAILURE_KINDS)[number];

/** How the bytes reach the device. `auto` leaves the choice to what the device supports. */
export const DELIVERY_METHODS = ["auto", "push", "pull"] as const;

export type DeliveryMethod = (typeof DELIVERY_METHODS)[number];
