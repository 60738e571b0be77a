/** What an operator reads: one plain sentence for each event of an update. */
import type { FailureKind } from "@airlift/protocol/update/device-update";
import type { DeliveryChoice } from "./delivery-choice.ts";
import type { UpdateEvent } from "./device-update.ts";
import type { PackageChoice } from "./package-choice.ts";
import { type DeviceReport, FAILURE_OF_RESULT, runningVersion } from "./report.ts";

/** The facts that a sentence may name. */
export interface SentenceFacts {
  readonly imageVersion: string;
  readonly report: DeviceReport | undefined;
  readonly choice: DeliveryChoice | undefined;
  readonly packageChoice: PackageChoice | null;
  /** Of what is sent. */
  readonly totalBytes: number;
  readonly acknowledgedBytes: number;
  /** CoAP response code of a refusal, "4.05". */
  readonly responseCode: string | undefined;
  /** Why the device could not be read. */
  readonly why: string | undefined;
  readonly attempt: number;
  readonly attemptCount: number;
  readonly delayMs: number;
  readonly limitMs: number;
  /** The device holds the image, and was not heard to install it. */
  readonly isHeld: boolean;
  /** The object that the update goes through. */
  readonly objectName: string;
}

/** Why a device says that it failed, in words. */
const WHY: Readonly<Record<string, string>> = {
  noFlash: "there is not enough flash memory for the image",
  noMemory: "it ran out of memory during the download",
  connectionLost: "it lost the connection during the download",
  integrityFailed:
    "the image did not pass its integrity check: it is damaged, unsigned or signed by a key it does not trust",
  unsupportedPackage: "it does not support this kind of package",
  invalidUri: "it could not fetch the Package URI",
  updateFailed: "installing the image failed",
  unsupportedProtocol: "it does not support the protocol of the Package URI",
  cancelledByDevice: "it cancelled the update",
  deferredTooLong: "it deferred the update",
  conflictingState: "a component that the package is for as well is not idle",
  dependencyError: "another component has to be updated first, or together with this one",
};

/** `undefined` where the event leaves nothing to tell unless the state changes. */
export function sentenceFor(event: UpdateEvent, facts: SentenceFacts): string | undefined {
  return SENTENCES[event]?.(facts);
}

type Phrase = (facts: SentenceFacts) => string;

const versionOf = ({ report }: SentenceFacts): string => (report && runningVersion(report)) ?? "an unknown version";
const stateOf = ({ report }: SentenceFacts): number | string =>
  report?.firmware?.wireState ?? report?.firmware?.state ?? "?";
const resultOf = ({ report }: SentenceFacts): number | string =>
  report?.firmware?.wireResult ?? report?.firmware?.result ?? "?";
const reportedFailure = (facts: SentenceFacts): string => {
  const kind: FailureKind | undefined = FAILURE_OF_RESULT[facts.report?.firmware?.result ?? 0];
  const result = resultOf(facts);
  return kind === undefined ? `it reports Update Result ${result}` : `${WHY[kind]} (Update Result ${result})`;
};
/** What is sent and why, where it might have been a delta. */
const packageText = (choice: PackageChoice | null): string => {
  if (choice === null) return "";
  if (choice.delta !== null) return `: the delta from ${choice.delta.baseVersion}, which it runs`;
  return choice.why === null ? "" : `: the whole image, as ${choice.why}`;
};
const refusal = (facts: SentenceFacts): string => facts.responseCode ?? "an error";

const SENTENCES: Readonly<Partial<Record<UpdateEvent, Phrase>>> = {
  start: () => "starting",
  startAbsent: () => "waiting: the device is not registered; going on when it is",
  appeared: () => "the device is registered; asking it what it runs",
  vanished: () => "waiting: the device's registration ended; going on when it registers again",
  unanswered: ({ why }) => `waiting: ${why ?? "the device does not answer"}; asking again`,
  asleep: () => "waiting: the device sleeps; going on when it is awake",
  awake: () => "the device is awake; asking it how it stands",
  noFirmwareObject: ({ objectName }) => `failed: the device has no ${objectName}, so it cannot be updated over LwM2M`,
  noCommonMethod: ({ report }) =>
    `failed: no way to deliver that both sides support (the device names delivery method ${report?.firmware?.deliveryMethod ?? "none"}, protocols ${report?.firmware?.protocols?.join(", ") ?? "none"})`,
  alreadyRuns: ({ imageVersion }) => `skipped: the device already runs ${imageVersion}`,
  occupied: (facts) => `the device holds another download (State ${stateOf(facts)}); resetting its update`,
  mustPrepare: (facts) => `making ${versionOf(facts)}, which is installed, ready to be replaced`,
  installedHeld: ({ imageVersion }) => `${imageVersion} is installed; it is not activated before the command to apply`,
  installed: ({ imageVersion }) => `${imageVersion} is installed; activating it`,
  resetUseless: (facts) =>
    `failed: the device stays in State ${stateOf(facts)} though its update was reset in every way`,
  busyUpdating: () => "waiting: the device is installing another image (State 3)",
  ready: ({ choice, totalBytes, packageChoice }) =>
    choice?.kind === "pull"
      ? `told the device to fetch ${totalBytes} bytes over ${choice.scheme}${packageText(packageChoice)}`
      : `pushing ${totalBytes} bytes to the device${packageText(packageChoice)}`,
  formatRefused: () => "the device refuses the package as octets (4.15); pushing it as base64 text",
  resumable: ({ acknowledgedBytes, totalBytes }) =>
    `the push broke off at ${acknowledgedBytes} of ${totalBytes} bytes; going on from there`,
  transferRefused: (facts) => `failed: the device refused the transfer with ${refusal(facts)}`,
  stillDownloading: () => "the device goes on with its download",
  transferLost: ({ report, attempt, attemptCount, delayMs }) =>
    `the transfer was interrupted${report?.firmware?.result === 4 ? " (the device lost the connection)" : ""}; attempt ${attempt + 1} of ${attemptCount} in ${Math.ceil(delayMs / 1000)} s`,
  deltaRefused: (facts) => `the device did not take the delta: ${reportedFailure(facts)}; sending it the whole image`,
  attemptsUsedUp: (facts) => `failed after ${facts.attemptCount} attempts: ${reportedFailure(facts)}`,
  deviceFailed: (facts) => `failed: ${reportedFailure(facts)}`,
  imageDownloaded: () => "the device has the image and verified it; asking it to apply",
  imageHeld: () => "the device has the image and verified it; waiting for the command to apply",
  apply: () => "asking the device to apply the image",
  hold: ({ isHeld }) =>
    isHeld
      ? "the device has the image and waits: it is not asked to apply it before its campaign says so"
      : "once the device has the image, it waits until its campaign says so",
  holdLate: ({ isHeld }) =>
    isHeld
      ? "told to wait while the device is being asked to apply: asking it whether that reached it"
      : "told to wait, too late: the device was asked to apply before",
  installHeld: () => "the device came back with the image not installed; it waits until its campaign says so",
  executed: () => "the device is installing the image",
  executeRefused: (facts) => `failed: the device refused to apply the image with ${refusal(facts)}`,
  installLost: () => "the device came back with the image not installed; asking it again to apply",
  installsUsedUp: ({ attemptCount }) =>
    `failed: the device came back ${attemptCount} times with the image not installed`,
  stillUpdating: () => "the device is installing the image",
  deferred: () => "the device defers the installation (Update Result 11)",
  outcomeUnclear: (facts) =>
    `waiting for the device to report the outcome: it runs ${versionOf(facts)} with State ${stateOf(facts)}, Update Result ${resultOf(facts)}`,
  confirmed: ({ imageVersion }) => `succeeded: the device runs ${imageVersion} and reports success (Update Result 1)`,
  oldVersionBack: (facts) =>
    `fell back: the device runs its old version ${versionOf(facts)} again (Update Result ${resultOf(facts)})`,
  otherVersion: (facts) =>
    `failed: the device reports success but runs ${versionOf(facts)} instead of ${facts.imageVersion}`,
  cancel: () => "cancelled by the operator",
  stalled: ({ acknowledgedBytes, totalBytes, limitMs }) =>
    `failed: no progress for ${Math.round(limitMs / 60_000)} min at ${acknowledgedBytes} of ${totalBytes} bytes`,
  applyOverdue: ({ limitMs }) =>
    `failed: the device did not report an outcome within ${Math.round(limitMs / 60_000)} min of applying`,
  deferredTooLong: () => "failed: the device deferred the installation for longer than it may",
  silent: ({ limitMs }) => `silent: nothing was heard of the device for ${Math.round(limitMs / 3_600_000)} h`,
};
