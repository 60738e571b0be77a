/**
 * The LwM2M Firmware Update object's state machine.
 *
 * Source: OMA object 5 versions 1.0 … 1.2, resources 0 Package, 1 Package URI, 2 Update, 3 State, 5 Update Result,
 * 10 Cancel, and the behaviour of deployed clients where the object leaves two readings.
 * The device drives itself with this table; the server uses the same table to know what may happen next.
 */
import type { Arrow, Table } from "../machine/table.ts";

export type FirmwareState = "idle" | "downloading" | "downloaded" | "updating";

/** Value of /5/0/3 for each state. */
export const STATE_ON_WIRE = { idle: 0, downloading: 1, downloaded: 2, updating: 3 } as const;

/** Value of /5/0/5 for each outcome. */
export const FIRMWARE_RESULT_ON_WIRE = {
  initial: 0,
  success: 1,
  noFlash: 2,
  noMemory: 3,
  connectionLost: 4,
  integrityFailed: 5,
  unsupportedPackage: 6,
  invalidUri: 7,
  failed: 8,
  unsupportedProtocol: 9,
  cancelled: 10,
  deferred: 11,
} as const;

/** The results of object 5. */
export type FirmwareResult = keyof typeof FIRMWARE_RESULT_ON_WIRE;

/** As object 5, and the two that only a component has (/33629/x/5). */
export const RESULT_ON_WIRE = { ...FIRMWARE_RESULT_ON_WIRE, conflictingState: 12, dependencyError: 13 } as const;

export type UpdateResult = keyof typeof RESULT_ON_WIRE;

/** The results 2 … 9, 12 and 13: each ends an update wherever it stands. */
export type FailureResult = Exclude<UpdateResult, "initial" | "success" | "cancelled" | "deferred">;

/** The reasons that only a component's handler may give: its package concerns other components too (object 33629). */
export type ComponentReason = "conflictingState" | "dependencyError";

/** The reasons that a handler of the device may give for its failure. */
export type HandlerReason =
  | "noFlash"
  | "noMemory"
  | "integrityFailed"
  | "unsupportedPackage"
  | "deferred"
  | ComponentReason;

/** Why an installation did not start. */
export type RefusedReason = Exclude<HandlerReason, "deferred" | "conflictingState"> | "failed";

/**
 * Asked for by the server. `writePackage` is a push of which the store has been opened; `reset` is the package of one
 * zero octet, `clearUri` the empty Package URI; `unsupportedUri` a Package URI whose scheme the device does not speak.
 * Where the table has no arrow, `refusalOf` has the answer.
 */
export type ServerEvent = "writeUri" | "unsupportedUri" | "writePackage" | "reset" | "clearUri" | "update" | "cancel";

/**
 * Happens inside the device. Where the table has no arrow, our own code is wrong.
 *
 * A plain failure ends the update and discards the image. `verify.*`: the finished image was refused, and its store has
 * closed itself. `refused.*`: the installation did not start, and the image stays. `startOver`: the image at the URI
 * changed while its download was resumed. `garbled`: a pushed package is not what its content format says.
 * `accepted`: a deferred update begins. `sharedPackage`: the package that another component received holds this one
 * too. `updatedAlong`: the update of another component installs this one as well.
 */
export type DeviceEvent =
  | FailureResult
  | `verify.${HandlerReason}`
  | `refused.${RefusedReason}`
  | "received"
  | "startOver"
  | "garbled"
  | "deferred"
  | "accepted"
  | "installed"
  | "sharedPackage"
  | "updatedAlong";

export type FirmwareEvent = ServerEvent | DeviceEvent;

/** `discardImage` is the reset of the device's store, `forgetUri` empties /5/0/1. */
export type FirmwareAction = "startPull" | "discardImage" | "forgetUri" | "install";

type FirmwareArrow = Arrow<FirmwareState, FirmwareAction, UpdateResult>;

const to = (state: FirmwareState, result: UpdateResult, ...actions: FirmwareAction[]): FirmwareArrow => ({
  to: state,
  actions,
  extra: result,
});

const forget = {
  reset: to("idle", "initial", "discardImage"),
  clearUri: to("idle", "initial", "discardImage", "forgetUri"),
};

const fail: Readonly<Record<FailureResult, FirmwareArrow>> = {
  noFlash: to("idle", "noFlash", "discardImage"),
  noMemory: to("idle", "noMemory", "discardImage"),
  connectionLost: to("idle", "connectionLost", "discardImage"),
  integrityFailed: to("idle", "integrityFailed", "discardImage"),
  unsupportedPackage: to("idle", "unsupportedPackage", "discardImage"),
  invalidUri: to("idle", "invalidUri", "discardImage"),
  failed: to("idle", "failed", "discardImage"),
  unsupportedProtocol: to("idle", "unsupportedProtocol", "discardImage"),
  conflictingState: to("idle", "conflictingState", "discardImage"),
  dependencyError: to("idle", "dependencyError", "discardImage"),
};

/** `extra` is the Update Result that holds in the state an arrow leads to. */
export const FIRMWARE_UPDATE: Table<FirmwareState, FirmwareEvent, FirmwareAction, UpdateResult> = {
  idle: {
    writeUri: to("downloading", "initial", "startPull"),
    unsupportedUri: to("idle", "unsupportedProtocol"),
    writePackage: to("downloading", "initial"),
    sharedPackage: to("downloaded", "initial"),
    ...forget,
  },
  downloading: {
    received: to("downloaded", "initial"),
    "verify.noFlash": to("idle", "noFlash"),
    "verify.noMemory": to("idle", "noMemory"),
    "verify.integrityFailed": to("idle", "integrityFailed"),
    "verify.unsupportedPackage": to("idle", "unsupportedPackage"),
    "verify.deferred": to("idle", "deferred"),
    "verify.conflictingState": to("idle", "conflictingState"),
    "verify.dependencyError": to("idle", "dependencyError"),
    ...fail,
    deferred: to("idle", "deferred", "discardImage"),
    startOver: to("downloading", "initial", "discardImage", "startPull"),
    garbled: to("idle", "initial", "discardImage"),
    ...forget,
    cancel: to("idle", "cancelled", "discardImage"),
  },
  downloaded: {
    update: to("updating", "initial", "install"),
    deferred: to("downloaded", "deferred"),
    accepted: to("updating", "initial", "install"),
    updatedAlong: to("updating", "initial"),
    ...fail,
    ...forget,
    cancel: to("idle", "cancelled", "discardImage"),
  },
  updating: {
    installed: to("idle", "success", "discardImage"),
    "refused.noFlash": to("downloaded", "noFlash"),
    "refused.noMemory": to("downloaded", "noMemory"),
    "refused.integrityFailed": to("downloaded", "integrityFailed"),
    "refused.unsupportedPackage": to("downloaded", "unsupportedPackage"),
    "refused.failed": to("downloaded", "failed"),
    "refused.dependencyError": to("downloaded", "dependencyError"),
    deferred: to("downloaded", "deferred"),
    ...fail,
  },
};

/** CoAP code of a refusal. */
export type Refusal = "4.00" | "4.05";

/**
 * How the device answers a request that the state has no arrow for.
 *
 * A Write is malformed for the state (4.00) but in Updating, where nothing may be written (4.05); a Package URI is 4.00
 * there too. An Execute is not allowed (4.05).
 */
export function refusalOf(state: FirmwareState, event: ServerEvent): Refusal {
  switch (event) {
    case "update":
    case "cancel":
      return "4.05";
    case "writeUri":
    case "unsupportedUri":
      return "4.00";
    case "writePackage":
    case "reset":
    case "clearUri":
      return state === "updating" ? "4.05" : "4.00";
  }
}
