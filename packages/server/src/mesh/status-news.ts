/** What a device's status event makes of its update. Source: profile 9; OMA object 5, resources 3 and 5. */
import { countText } from "@airlift/protocol/lib/count-text";
import { type FailureKind, isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import type { FirmwareResult } from "@airlift/protocol/update/firmware-update";
import type { StatusDetail, StatusEvent } from "@airlift/protocol/zmesh/status-event";
import type { VersionTriad } from "@airlift/protocol/zmesh/version-triad";

/** What is known of the update when a device speaks of its content. */
export interface MeshStanding {
  readonly state: UpdateState;
  readonly imageVersion: VersionTriad;
  /** Of the image, and in one packet. */
  readonly lengthBytes: number;
  readonly chunkBytes: number;
}

/** What changes. */
export interface MeshNews {
  readonly state: UpdateState;
  readonly failure: FailureKind | null;
  readonly sentence: string;
  readonly acknowledgedBytes: number;
}

/** Update Results that are failures. */
const FAILURE_OF_RESULT: Partial<Record<FirmwareResult, FailureKind>> = {
  noFlash: "noFlash",
  noMemory: "noMemory",
  connectionLost: "connectionLost",
  integrityFailed: "integrityFailed",
  unsupportedPackage: "unsupportedPackage",
  invalidUri: "invalidUri",
  failed: "updateFailed",
  unsupportedProtocol: "unsupportedProtocol",
  cancelled: "cancelledByDevice",
  deferred: "deferredTooLong",
};

/** After these a device has said itself that it does not hold the image; a connection that was lost may be the network's own verdict. */
export const FAILURES_WITHOUT_IMAGE: readonly FailureKind[] = [
  ...Object.values(FAILURE_OF_RESULT).filter((kind) => kind !== "connectionLost"),
  "wrongVersion",
];

/** Undefined when it tells nothing new. The event is genuine and fresh, and about the update's content. */
export function readStatus(status: StatusEvent, standing: MeshStanding): MeshNews | undefined {
  if (isFinalUpdateState(standing.state)) return undefined;
  // Only a device that is through says how it went: while it works, the result may be an older one. Going back is an end of its own.
  const failure = status.detail === "none" ? FAILURE_OF_RESULT[status.result] : undefined;
  if (failure !== undefined) return news(failed(failure), status, standing);
  return news(NEWS_OF_DETAIL[status.detail](status, standing), status, standing);
}

type Told = Pick<MeshNews, "state" | "failure" | "sentence">;

const missing = (deficit: number): string => `${countText(deficit, "packet is", "packets are")} missing`;

const NEWS_OF_DETAIL: Readonly<
  Record<StatusDetail, (status: StatusEvent, standing: MeshStanding) => Told | undefined>
> = {
  none: () => undefined,
  scheduled: () => told("waiting", "waiting: the device knows when the broadcast begins"),
  waiting: () => told("waiting", "waiting: the device listens for the broadcast"),
  receiving: ({ deficit }) => told("transferring", `transferring: ${missing(deficit)}`),
  repairing: ({ deficit }) => told("transferring", `transferring: ${missing(deficit)}, parity is on its way`),
  suspended: ({ deficit }) => told("transferring", `transferring: nothing is heard at the moment, ${missing(deficit)}`),
  verified: () => told("waitingToApply", "waitingToApply: the image is there and verified"),
  applying: () => told("applying", "applying: the device installs the image"),
  confirmed: (status, standing) => confirmed(status, standing),
  rolledBack: ({ version }) => told("fellBack", `fellBack: the device went back to ${version.join(".")}`),
};

/** Only the new version is a success, whatever the device calls it. */
function confirmed({ version, result }: StatusEvent, { imageVersion }: MeshStanding): Told {
  const isNew = version.every((part, i) => part === imageVersion[i]);
  if (isNew && result === "success") return told("succeeded", `succeeded: the device runs ${version.join(".")}`);
  const but = isNew
    ? `with the result ${result}, not success`
    : `runs ${version.join(".")}, not ${imageVersion.join(".")}`;
  const sentence = `failed: the device calls it done ${isNew ? "" : "and "}${but}`;
  return { state: "failed", failure: "wrongVersion", sentence };
}

const told = (state: UpdateState, sentence: string): Told => ({ state, failure: null, sentence });

const failed = (failure: FailureKind): Told => ({
  state: "failed",
  failure,
  sentence: `failed: the device says ${failure}`,
});

function news(change: Told | undefined, { receivedCount }: StatusEvent, standing: MeshStanding): MeshNews | undefined {
  if (change === undefined) return undefined;
  const { state } = change;
  const hasAll = state !== "transferring" && state !== "waiting" && state !== "failed";
  const { lengthBytes, chunkBytes } = standing;
  return { ...change, acknowledgedBytes: hasAll ? lengthBytes : Math.min(lengthBytes, receivedCount * chunkBytes) };
}
