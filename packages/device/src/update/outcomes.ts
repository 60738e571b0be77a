/** What an outcome that comes from outside the machine does to it. */
import type { FirmwareEvent, FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { HandlerFailure } from "../ports.ts";

/** The event of a result that the integrator sets, or `undefined` where it may not (rows 33 … 35, 40). */
export function eventOfSetResult(state: FirmwareState, result: UpdateResult): FirmwareEvent | undefined {
  switch (result) {
    case "initial":
    case "cancelled":
      return undefined;
    case "success":
      return state === "updating" ? "installed" : undefined;
    case "deferred":
      return state === "updating" || state === "downloaded" ? "deferred" : undefined;
    default:
      return state === "idle" ? undefined : result;
  }
}

/** The event of an installation that its handler refused (row 32). */
export function refusedBy(reason: HandlerFailure | undefined): FirmwareEvent {
  return reason === "deferred" ? "deferred" : `refused.${reason ?? "failed"}`;
}
