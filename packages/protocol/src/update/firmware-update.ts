/**
 * The LwM2M Firmware Update object's state machine.
 *
 * Source: OMA object 5 version 1.1 (`5-1_1.xml`), resources 2 Update, 3 State, 5 Update Result, 10 Cancel.
 * The device drives itself with this table; the server uses the same table to know what may happen next.
 */
import type { Arrow, Table } from "../machine/table.ts";

export type FirmwareState = "idle" | "downloading" | "downloaded" | "updating";

/** Asked for by the server. Where the table has no arrow, the request is refused (4.05 for an Execute; a Write has a code per row). */
export type ServerEvent = "writeUri" | "writePackage" | "reset" | "update" | "cancel";

/** Happens inside the device. Where the table has no arrow, our own code is wrong. */
export type DeviceEvent =
  | "noFlash"
  | "noMemory"
  | "connectionLost"
  | "integrityFailed"
  | "unsupportedPackage"
  | "invalidUri"
  | "unsupportedProtocol"
  | "received"
  | "deferred"
  | "accepted"
  | "installed"
  | "installFailed";

export type FirmwareEvent = ServerEvent | DeviceEvent;
export type FirmwareAction = "openSlot" | "startPull" | "discardImage" | "install";

/** Value of /5/0/3 for each state. */
export const STATE_ON_WIRE = { idle: 0, downloading: 1, downloaded: 2, updating: 3 } as const;

/** Value of /5/0/5 for each outcome. */
export const RESULT_ON_WIRE = {
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

export type UpdateResult = keyof typeof RESULT_ON_WIRE;
type FirmwareArrow = Arrow<FirmwareState, FirmwareAction, UpdateResult>;

const to = (state: FirmwareState, result: UpdateResult, ...actions: FirmwareAction[]): FirmwareArrow => ({
  to: state,
  actions,
  extra: result,
});

const forgetImage = to("idle", "initial", "discardImage");

export const FIRMWARE_UPDATE: Table<FirmwareState, FirmwareEvent, FirmwareAction, UpdateResult> = {
  idle: {
    writeUri: to("downloading", "initial", "openSlot", "startPull"),
    writePackage: to("downloading", "initial", "openSlot"),
    reset: to("idle", "initial"),
  },
  downloading: {
    received: to("downloaded", "initial"),
    noFlash: to("idle", "noFlash", "discardImage"),
    noMemory: to("idle", "noMemory", "discardImage"),
    connectionLost: to("idle", "connectionLost", "discardImage"),
    integrityFailed: to("idle", "integrityFailed", "discardImage"),
    unsupportedPackage: to("idle", "unsupportedPackage", "discardImage"),
    invalidUri: to("idle", "invalidUri", "discardImage"),
    unsupportedProtocol: to("idle", "unsupportedProtocol", "discardImage"),
    reset: forgetImage,
    cancel: to("idle", "cancelled", "discardImage"),
  },
  downloaded: {
    update: to("updating", "initial", "install"),
    deferred: to("downloaded", "deferred"),
    accepted: to("updating", "initial", "install"),
    reset: forgetImage,
    cancel: to("idle", "cancelled", "discardImage"),
  },
  updating: {
    installed: to("idle", "success"),
    installFailed: to("downloaded", "failed"),
    integrityFailed: to("idle", "integrityFailed", "discardImage"),
  },
};
