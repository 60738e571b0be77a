/** What a device says of itself when it is asked, and the events that the server reads from it. */
import { type FailureKind, isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import type { DeviceEvent } from "./device-update.ts";

/** One reading of /5/0 and /3/0. A resource that the device does not have is null. */
export interface DeviceReport {
  /** Null when the device has no Firmware Update object. */
  readonly firmware: {
    /** /5/0/3: 0 Idle, 1 Downloading, 2 Downloaded, 3 Updating. */
    readonly state: number;
    /** /5/0/5. */
    readonly result: number;
    readonly packageUri: string | null;
    readonly packageName: string | null;
    readonly packageVersion: string | null;
    /** /5/0/8; null = not told, which means CoAP. */
    readonly protocols: readonly number[] | null;
    /** /5/0/9: 0 pull, 1 push, 2 both. */
    readonly deliveryMethod: number | null;
    /** Resource 13, seconds. */
    readonly maximumDeferPeriodS?: number | null;
    /** Resource 14: the device upgrades by itself once it has the image. */
    readonly automaticUpgrade?: boolean | null;
    /** State and Update Result as they came, where the object has other numbers than object 5. */
    readonly wireState?: number;
    readonly wireResult?: number;
    /** What runs, where the object tells it itself; absent = /3/0/3 does. */
    readonly currentVersion?: string | null;
    /** An installed package has to be made ready before it can be replaced. */
    readonly mustPrepare?: boolean;
    /** Installed, but not active. */
    readonly needsActivation?: boolean;
    /** State 2 may also mean that the installation runs. */
    readonly mayBeInstalling?: boolean;
  } | null;
  /** /3/0/3. */
  readonly version: string | null;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly hardware: string | null;
  /** /3/0/9, percent. */
  readonly battery?: number | null;
  /** /3/0/14, "+02:00". */
  readonly utcOffset?: string | null;
  /** /3/0/15, "Europe/Oslo". */
  readonly timezone?: string | null;
}

/** The version that runs of what an update replaces. */
export function runningVersion({ firmware, version }: DeviceReport): string | null {
  return firmware?.currentVersion === undefined ? version : firmware.currentVersion;
}

/** What is known when a report is read. */
export interface Situation {
  readonly state: UpdateState;
  /** Whether `version`, as the device tells it, is the image's. */
  readonly isTargetVersion: boolean;
  /** Whether `version` is the one that ran before the update. */
  readonly isVersionBefore: boolean;
  /** There is a way to deliver that both sides support. */
  readonly canDeliver: boolean;
  /** The device has taken the Package URI, or was sent the whole package. */
  readonly transferStarted: boolean;
  /** The transfer in force is a pull, which goes on without the server's doing. */
  readonly pulling: boolean;
  /** What was sent is a delta, and the whole image was not tried yet. */
  readonly isDelta: boolean;
  /** A push is on its way: the device may show any State until it ends. */
  readonly pushRunning: boolean;
  readonly transfersLeft: boolean;
  readonly installsLeft: boolean;
  /** A device that is always busy when it shall install may be asked once more. */
  readonly requestsLeft: boolean;
  /** It was asked to install, whatever was said since: what it has begun it shall finish. */
  readonly wasAsked: boolean;
  /** The push broke off without an answer, at an octet from which it may go on. */
  readonly mayResume: boolean;
  /** The Update Result that the device told before the transfer: as long as it is the same, it may be of an older one. */
  readonly staleResult: number | null;
  /** The operator, or a policy, wants the image applied as soon as it is there. */
  readonly applyWanted: boolean;
}

/** Update Result (/5/0/5) as a kind of failure; results that are none are absent. */
export const FAILURE_OF_RESULT: Readonly<Record<number, FailureKind>> = {
  2: "noFlash",
  3: "noMemory",
  4: "connectionLost",
  5: "integrityFailed",
  6: "unsupportedPackage",
  7: "invalidUri",
  8: "updateFailed",
  9: "unsupportedProtocol",
  10: "cancelledByDevice",
  11: "deferredTooLong",
  12: "conflictingState",
  13: "dependencyError",
};

/**
 * Update Results that a device may come to with a delta and not with the whole image: one that does not know deltas refuses
 * the package (5, 6), and to decode one takes memory and room for both files (2, 3).
 */
const DELTA_REFUSALS: ReadonlySet<number> = new Set([2, 3, 5, 6]);

const CONNECTION_LOST = 4;
const DEFERRED = 11;
const SUCCESS = 1;

/** The event that a report means in a situation; `undefined` when it says nothing new. */
export function interpretReport(report: DeviceReport, situation: Situation): DeviceEvent | undefined {
  const { firmware } = report;
  if (isFinalUpdateState(situation.state) || situation.state === "queued") return undefined;
  if (firmware === null) return situation.state === "waiting" ? "noFirmwareObject" : "outcomeUnclear";
  switch (situation.state) {
    case "waiting":
      return beforeTransfer(firmware, situation);
    case "transferring":
      return duringTransfer(firmware, situation);
    case "waitingToApply":
      return whileHeld(firmware, situation);
    default:
      return afterExecute(firmware, situation);
  }
}

type Firmware = NonNullable<DeviceReport["firmware"]>;

/** The package of this update is installed, and has to be activated still (object 9). */
export const isInactive = (firmware: Firmware, { isTargetVersion }: Pick<Situation, "isTargetVersion">): boolean =>
  isTargetVersion && firmware.state === 0 && firmware.needsActivation === true;

function beforeTransfer(firmware: Firmware, situation: Situation): DeviceEvent {
  const { transferStarted } = situation;
  if (isInactive(firmware, situation)) return situation.applyWanted ? "installed" : "installedHeld";
  if (situation.isTargetVersion && firmware.state === 0) return "alreadyRuns";
  if (firmware.mustPrepare) return "mustPrepare";
  if (firmware.state === 3) return "busyUpdating";
  if (transferStarted && firmware.state === 2) return situation.applyWanted ? "imageDownloaded" : "imageHeld";
  if (transferStarted && firmware.state === 1 && situation.pulling) return "stillDownloading";
  if (firmware.state !== 0) return "occupied";
  if (!situation.canDeliver) return "noCommonMethod";
  return situation.transfersLeft ? "ready" : "attemptsUsedUp";
}

function duringTransfer(firmware: Firmware, situation: Situation): DeviceEvent | undefined {
  if (situation.pushRunning || !situation.transferStarted) return undefined;
  if (situation.mayResume && firmware.state < 2 && firmware.result !== CONNECTION_LOST) return "resumable";
  if (firmware.state === 2) return situation.applyWanted ? "imageDownloaded" : "imageHeld";
  if (firmware.state === 1) return situation.pulling ? "stillDownloading" : "transferLost";
  if (firmware.state === 3) return "stillUpdating";
  // A device that upgrades by itself once the image is there (resource 14) may be through before it is asked.
  if (firmware.result === SUCCESS && situation.isTargetVersion && !firmware.needsActivation) return "confirmed";
  return afterLoss(firmware, situation);
}

function whileHeld(firmware: Firmware, situation: Situation): DeviceEvent | undefined {
  if (firmware.state === 2) return situation.applyWanted ? "imageDownloaded" : undefined;
  // The word to apply had reached it before the word to wait, or somebody on site said so.
  if (firmware.state === 3) return "stillUpdating";
  if (isInactive(firmware, situation))
    return situation.applyWanted || situation.wasAsked ? "installed" : "installedHeld";
  if (firmware.result === SUCCESS && situation.isTargetVersion) return "confirmed";
  return afterLoss(firmware, situation);
}

function afterLoss(firmware: Firmware, situation: Situation): DeviceEvent {
  // Update Result has to be 0 once a download begins. What still shows an older one has not begun, or never clears it.
  const isNew = firmware.result !== situation.staleResult;
  const isFailure = firmware.result > SUCCESS && firmware.result !== CONNECTION_LOST;
  if (firmware.state === 0 && isFailure && isNew)
    return situation.isDelta && DELTA_REFUSALS.has(firmware.result) ? "deltaRefused" : "deviceFailed";
  return situation.transfersLeft ? "transferLost" : "attemptsUsedUp";
}

function afterExecute(firmware: Firmware, situation: Situation): DeviceEvent {
  const { state, result } = firmware;
  if (state === 3) return "stillUpdating";
  if (state === 1) return situation.state === "downloaded" ? "transferLost" : "outcomeUnclear";
  if (result === DEFERRED) return "deferred";
  if (result > SUCCESS) return "deviceFailed";
  if (isInactive(firmware, situation)) return situation.installsLeft ? "installed" : "installsUsedUp";
  if (state === 2) {
    if (situation.state === "downloaded") {
      if (!situation.applyWanted) return "imageHeld";
      return situation.requestsLeft ? "imageDownloaded" : "installsUsedUp";
    }
    if (firmware.mayBeInstalling) return "stillUpdating";
    if (!situation.applyWanted) return "installHeld";
    return situation.installsLeft ? "installLost" : "installsUsedUp";
  }
  if (situation.isVersionBefore) return "oldVersionBack";
  if (!situation.isTargetVersion) return result === SUCCESS ? "otherVersion" : "outcomeUnclear";
  return result === SUCCESS ? "confirmed" : "outcomeUnclear";
}
