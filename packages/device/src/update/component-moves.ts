/** Which event a state and result that an integrator sets for a component comes to, and what its companions share of it. */
import { UsageError } from "@airlift/protocol/lib/errors";
import {
  FIRMWARE_UPDATE,
  type FirmwareEvent,
  type FirmwareState,
  type UpdateResult,
} from "@airlift/protocol/update/firmware-update";

/** Where a component stands. */
export interface ComponentStanding {
  readonly state: FirmwareState;
  readonly result: UpdateResult;
}

/**
 * The one arrow of the table that leads from `from` to `wanted` without asking the network or the installer for anything.
 *
 * @throws {UsageError} RESULT_NOT_SETTABLE when there is none.
 */
export function eventToReach(from: FirmwareState, wanted: ComponentStanding): FirmwareEvent {
  const arrows = Object.entries(FIRMWARE_UPDATE[from]) as [FirmwareEvent, { to: FirmwareState; extra: UpdateResult }][];
  const found = arrows.find(
    ([event, { to, extra }]) => to === wanted.state && extra === wanted.result && isSettable(event),
  );
  if (found) return found[0];
  throw new UsageError("RESULT_NOT_SETTABLE", `${from} does not lead to ${wanted.state} with ${wanted.result}`, {
    from,
    ...wanted,
  });
}

/** The network, the verification and a server's requests are not the integrator's to claim. */
const NOT_SETTABLE: ReadonlySet<FirmwareEvent> = new Set([
  ...(["writeUri", "unsupportedUri", "writePackage", "clearUri", "update", "cancel"] as const),
  ...(["received", "startOver", "garbled", "accepted"] as const),
]);

/** What the end of an update means for one that was updated along. */
export function eventForCompanion(ended: ComponentStanding): FirmwareEvent {
  return eventToReach("updating", ended);
}

function isSettable(event: FirmwareEvent): boolean {
  return !NOT_SETTABLE.has(event) && !event.startsWith("verify.");
}
