/**
 * The life of one device's update as a table: where it stands, what may happen, what the server does then.
 *
 * The device's own machine is object 5 (protocol/update/firmware-update); this one is the server's view of it. What the
 * device says is turned into one of these events by `interpretReport`, so that no arrow needs a condition.
 */
import type { Arrow, Table } from "@airlift/protocol/machine/table";
import type { FailureKind, UpdateState } from "@airlift/protocol/update/device-update";

/** What the operator or the server's own clock asks for. `holdLate`: the device is being asked to apply at this moment, or was. */
export type CommandEvent =
  | "start"
  | "startAbsent"
  | "apply"
  | "hold"
  | "holdLate"
  | "cancel"
  | "stalled"
  | "applyOverdue"
  | "deferredTooLong"
  | "silent";

/** What was seen of the device. */
export type DeviceEvent =
  | "appeared"
  | "vanished"
  | "unanswered"
  | "noFirmwareObject"
  | "noCommonMethod"
  | "alreadyRuns"
  | "occupied"
  | "mustPrepare"
  | "installed"
  | "installedHeld"
  | "resumable"
  | "formatRefused"
  | "asleep"
  | "awake"
  | "resetSent"
  | "resetUseless"
  | "busyUpdating"
  | "ready"
  | "transferAccepted"
  | "transferRefused"
  | "stillDownloading"
  | "transferLost"
  | "deltaRefused"
  | "attemptsUsedUp"
  | "deviceFailed"
  | "imageDownloaded"
  | "imageHeld"
  | "executed"
  | "executeRefused"
  | "installLost"
  | "installHeld"
  | "installsUsedUp"
  | "stillUpdating"
  | "deferred"
  | "outcomeUnclear"
  | "confirmed"
  | "oldVersionBack"
  | "otherVersion";

/** The last block is acknowledged by the image being there: nobody asks for one behind it. */
export const HAS_IMAGE: ReadonlySet<UpdateEvent> = new Set(["imageDownloaded", "imageHeld"]);

export type UpdateEvent = CommandEvent | DeviceEvent;

/** Each is followed by an Execute: of a campaign's device only while the campaign permits it. */
export const ASKS_TO_APPLY: ReadonlySet<UpdateEvent> = new Set(["apply", "imageDownloaded", "installLost"]);

/** The word to wait was heard. */
export const IS_HOLD: ReadonlySet<UpdateEvent> = new Set(["hold", "holdLate"]);

/** What the owner performs when an arrow is taken. */
export type UpdateAction =
  | "look"
  | "observe"
  | "startTransfer"
  | "resumeTransfer"
  | "stopTransfer"
  | "scheduleTransfer"
  | "resetDevice"
  | "execute"
  | "withdrawExecute"
  | "activate"
  | "endObservation";

/** `failure` names the kind that a failed update gets; "reported" takes it from the device's Update Result. */
export interface UpdateExtra {
  readonly failure?: FailureKind | "reported";
}

type UpdateArrow = Arrow<UpdateState, UpdateAction, UpdateExtra>;

const to = (state: UpdateState, ...actions: UpdateAction[]): UpdateArrow => ({ to: state, actions, extra: {} });
const fail = (failure: FailureKind | "reported", ...actions: UpdateAction[]): UpdateArrow => ({
  to: "failed",
  actions: [...actions, "endObservation"],
  extra: { failure },
});

/** A device that sleeps is not asked; once it is awake, it is. */
const sleep = (state: UpdateState) => ({ asleep: to(state), awake: to(state, "look") });

/** What holds wherever the device has, or may have, some of the image. */
const interruptible = {
  cancel: to("cancelled", "stopTransfer", "resetDevice", "endObservation"),
  silent: to("silent", "stopTransfer", "endObservation"),
} as const;

/** Before the device is asked to apply, it is enough not to ask it. */
const stays = (state: UpdateState) => ({ hold: to(state) });

/** What becomes of an image that the device holds, or held. */
const transferEnds = {
  imageDownloaded: to("downloaded", "execute"),
  imageHeld: to("waitingToApply"),
  installedHeld: to("waitingToApply"),
  transferLost: to("waiting", "stopTransfer", "scheduleTransfer"),
  deltaRefused: to("waiting", "stopTransfer", "look"),
  attemptsUsedUp: fail("reported", "stopTransfer"),
  deviceFailed: fail("reported", "stopTransfer"),
} as const;

/** What may be found once the device was told to apply. */
const outcomes = {
  installed: to("applying", "activate"),
  stillUpdating: to("applying"),
  deferred: to("applying"),
  installLost: to("downloaded", "execute"),
  installHeld: to("waitingToApply"),
  // Asked is asked: only a device that comes back with the image not installed is not asked again.
  holdLate: to("applying"),
  installsUsedUp: fail("updateFailed"),
  outcomeUnclear: to("confirming"),
  confirmed: to("succeeded", "endObservation"),
  oldVersionBack: to("fellBack", "endObservation"),
  otherVersion: fail("wrongVersion"),
  deviceFailed: fail("reported"),
  applyOverdue: fail("timedOut"),
  deferredTooLong: fail("deferredTooLong"),
  silent: interruptible.silent,
} as const;

export const DEVICE_UPDATE: Table<UpdateState, UpdateEvent, UpdateAction, UpdateExtra> = {
  queued: {
    start: to("waiting"),
    startAbsent: to("waiting"),
    ...stays("queued"),
    cancel: to("cancelled"),
  },
  waiting: {
    appeared: to("waiting", "observe", "look"),
    vanished: to("waiting"),
    ...sleep("waiting"),
    unanswered: to("waiting"),
    noFirmwareObject: fail("noFirmwareUpdateObject"),
    noCommonMethod: fail("noCommonMethod"),
    alreadyRuns: to("skipped", "endObservation"),
    occupied: to("waiting", "resetDevice"),
    mustPrepare: to("waiting", "resetDevice"),
    installed: outcomes.installed,
    installedHeld: transferEnds.installedHeld,
    resetSent: to("waiting", "look"),
    resetUseless: fail("rejected"),
    busyUpdating: to("waiting"),
    ready: to("transferring", "startTransfer"),
    stillDownloading: to("transferring"),
    imageDownloaded: transferEnds.imageDownloaded,
    imageHeld: transferEnds.imageHeld,
    attemptsUsedUp: transferEnds.attemptsUsedUp,
    ...stays("waiting"),
    ...interruptible,
  },
  transferring: {
    appeared: to("transferring", "observe", "look"),
    vanished: to("transferring"),
    ...sleep("transferring"),
    unanswered: to("transferring"),
    transferAccepted: to("transferring"),
    transferRefused: fail("rejected", "stopTransfer"),
    formatRefused: to("transferring", "startTransfer"),
    resumable: to("transferring", "resumeTransfer"),
    stillDownloading: to("transferring"),
    stillUpdating: outcomes.stillUpdating,
    confirmed: outcomes.confirmed,
    stalled: fail("timedOut", "stopTransfer", "resetDevice"),
    ...stays("transferring"),
    ...transferEnds,
    ...interruptible,
  },
  downloaded: {
    appeared: to("downloaded", "observe", "look"),
    vanished: to("downloaded"),
    ...sleep("downloaded"),
    unanswered: to("downloaded"),
    executed: to("applying"),
    executeRefused: fail("rejected"),
    ...outcomes,
    ...transferEnds,
    ...interruptible,
    hold: to("waitingToApply"),
    holdLate: to("downloaded", "withdrawExecute"),
  },
  waitingToApply: {
    apply: to("downloaded", "execute"),
    appeared: to("waitingToApply", "observe", "look"),
    vanished: to("waitingToApply"),
    ...sleep("waitingToApply"),
    unanswered: to("waitingToApply"),
    ...stays("waitingToApply"),
    installed: outcomes.installed,
    stillUpdating: outcomes.stillUpdating,
    confirmed: outcomes.confirmed,
    ...transferEnds,
    cancel: interruptible.cancel,
  },
  applying: {
    appeared: to("confirming", "observe", "look"),
    vanished: to("applying"),
    executeRefused: fail("rejected"),
    ...sleep("applying"),
    ...outcomes,
  },
  confirming: {
    appeared: to("confirming", "observe", "look"),
    vanished: to("confirming"),
    ...sleep("confirming"),
    ...outcomes,
    holdLate: to("confirming"),
  },
  succeeded: {},
  failed: {},
  silent: {},
  fellBack: {},
  cancelled: {},
  skipped: {},
};
