/** What goes into the driver of one device's update and what comes out of it. */
import type { DeliveryMethod, FailureKind, UpdateState } from "@airlift/protocol/update/device-update";
import type { UpdateTarget } from "@airlift/protocol/update/update-target";
import type { DeliveryChoice, PullScheme } from "./delivery-choice.ts";
import type { UpdateEvent } from "./device-update.ts";
import type { DeltaOffers, PackageChoice } from "./package-choice.ts";
import type { DeviceReport } from "./report.ts";
import type { ApplyStep, ResetForm } from "./update-object.ts";

/** What is to be done, for whom. */
export interface UpdateOrder {
  readonly updateId: string;
  readonly endpoint: string;
  readonly imageId: string;
  readonly imageVersion: string;
  /** Of the whole image. */
  readonly totalBytes: number;
  /** Absent = the whole image is sent, whatever there is. */
  readonly offers?: DeltaOffers;
  readonly by: DeliveryMethod;
  readonly target: UpdateTarget;
}

/** Everything about an update that must outlive the server: a plain value, saved with each transition. */
export interface UpdateSnapshot {
  readonly state: UpdateState;
  /** 1, and one more each time that the update was begun again after it had ended. */
  readonly attempt: number;
  readonly failure: FailureKind | null;
  readonly apply: boolean;
  readonly choice: DeliveryChoice | null;
  readonly packageChoice: PackageChoice | null;
  /** The Update Result with which the device refused a delta. */
  readonly deltaRefusal: number | null;
  /** The device has taken the Package URI, or was sent the whole package. */
  readonly transferStarted: boolean;
  readonly transferCount: number;
  readonly executeCount: number;
  /** The device said last that it has the package of this update installed, and not activated (object 9). */
  readonly isInactive: boolean;
  readonly versionBefore: string | null;
  readonly acknowledgedBytes: number;
  /** The most that any transfer of this update came to: who gets further is given all attempts anew. */
  readonly furthestBytes: number;
  /** How often a push has gone on where it had broken off. */
  readonly resumeCount: number;
  /** Update Result as it was before the transfer. */
  readonly resultBefore: number | null;
}

/** The snapshot of an update that nobody has begun. */
export function newSnapshot(apply: boolean, attempt = 1): UpdateSnapshot {
  return {
    state: "queued",
    attempt,
    failure: null,
    apply,
    choice: null,
    packageChoice: null,
    deltaRefusal: null,
    transferStarted: false,
    transferCount: 0,
    executeCount: 0,
    isInactive: false,
    versionBefore: null,
    acknowledgedBytes: 0,
    furthestBytes: 0,
    resumeCount: 0,
    resultBefore: null,
  };
}

/** How a request to the device ended. `code` is a CoAP response code, "4.05". */
export type RequestOutcome =
  | { readonly outcome: "accepted" }
  | { readonly outcome: "refused"; readonly code: string }
  | { readonly outcome: "noAnswer" };

export type DriverInput =
  /** The first input: whether the device is registered now, and if so, whether it sleeps. */
  | { readonly kind: "start"; readonly registered: boolean; readonly asleep?: boolean }
  /** The device has registered (again). */
  | { readonly kind: "registered" }
  /** The device's registration expired, or it de-registered. */
  | { readonly kind: "unregistered" }
  /** A device in queue mode stopped listening; what it is asked now is lost. */
  | { readonly kind: "asleep" }
  | { readonly kind: "awake" }
  /** The device gave another sign of life. */
  | { readonly kind: "heard" }
  /** State or Update Result changed, as a notification says. */
  | { readonly kind: "notified" }
  /** What a look brought, undefined when the device did not answer, and how this device could fetch from us. */
  | {
      readonly kind: "report";
      readonly look: number;
      readonly report: DeviceReport | undefined;
      readonly schemes: readonly PullScheme[];
      /** Why there is no report, for the operator. */
      readonly why?: string;
    }
  | ({ readonly kind: "transferAnswered" } & RequestOutcome)
  | ({ readonly kind: "pushEnded" } & RequestOutcome)
  | ({ readonly kind: "executeAnswered" } & RequestOutcome)
  | ({ readonly kind: "resetAnswered" } & RequestOutcome)
  /** The device has so many bytes of the image. */
  | { readonly kind: "progress"; readonly acknowledgedBytes: number }
  | { readonly kind: "apply" }
  /** The permit to apply is withdrawn. */
  | { readonly kind: "hold" }
  | { readonly kind: "cancel" }
  | { readonly kind: "wake" };

export type DriverOutput =
  /** To be stored before anything after it is performed. The state may be the same: then it is a remark. */
  | {
      readonly kind: "transition";
      readonly from: UpdateState;
      readonly event: UpdateEvent;
      readonly sentence: string;
      readonly snapshot: UpdateSnapshot;
    }
  | { readonly kind: "look"; readonly look: number }
  | { readonly kind: "observe" }
  | { readonly kind: "endObservation" }
  | {
      readonly kind: "startTransfer";
      readonly choice: DeliveryChoice;
      /** The image, or the delta, that is sent. */
      readonly packageId: string;
      /** Octets that the device has: a push goes on behind them. */
      readonly offset: number;
      /** The device would upgrade by itself (resource 14) though it shall wait for the word: it is told so first. */
      readonly holdBack: boolean;
    }
  | { readonly kind: "stopTransfer" }
  | { readonly kind: "resetDevice"; readonly form: ResetForm }
  | { readonly kind: "execute"; readonly step: ApplyStep }
  /** An Execute that is on its way is not repeated any more; its answer is taken to be lost. */
  | { readonly kind: "withdrawExecute" };
