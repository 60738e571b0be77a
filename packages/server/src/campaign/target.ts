/** One device in one campaign: a row, moved by its table. */
import { BugError } from "@airlift/protocol/lib/errors";
import { type FailureKind, isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import type { TargetMove } from "./campaign-step.ts";
import { TARGET, type TargetAction, type TargetEvent } from "./target-table.ts";
import type { Place } from "./wave-counts.ts";

/** What the device of a target is to be told; kept on its row until it has been done. */
export type TargetOrder =
  /** Attempt number `attempt`: an update with this image and `apply: false`. The same attempt a second time is the same update. */
  | { readonly kind: "begin"; readonly attempt: number; readonly imageId: string }
  | { readonly kind: "apply"; readonly attempt: number }
  /** The permit is withdrawn: the device is not asked to apply any more, unless it was already. */
  | { readonly kind: "hold"; readonly attempt: number }
  /** An attempt that was never begun is reported as `cancelled` by whoever takes this. */
  | { readonly kind: "cancel"; readonly attempt: number };

export interface Target {
  readonly campaignId: string;
  readonly endpoint: string;
  readonly wave: number;
  /** Its turn within the wave, 0 … 2³² − 1: `orderKey(campaignId, endpoint)`. */
  readonly orderKey: number;
  readonly state: UpdateState;
  readonly failure: FailureKind | null;
  /** Attempts begun, 0 = none. */
  readonly attempt: number;
  /** An attempt is in the hands of delivery. */
  readonly isUnderWay: boolean;
  /** The attempt may install: the campaign has said so. */
  readonly isApplyPermitted: boolean;
  readonly order: TargetOrder | null;
  /** The image of the attempt: the campaign's, or a stepping stone. */
  readonly imageId: string | null;
  /** The radio cell that the attempt is counted in. */
  readonly cell: string | null;
  /** Octets of the attempt's package that the device has acknowledged, as far as was told. */
  readonly deliveredBytes: number;
  /** Attempts that failed, by kind. */
  readonly failures: Readonly<Partial<Record<FailureKind, number>>>;
  /**
   * The campaign looks at it again from then on; null = at once. While an attempt is at work it is when the permit to apply ends, null = not
   * by itself, and means nothing without one; nor does it after the end.
   */
  readonly notBeforeMs: number | null;
  readonly sentence: string;
}

export function newTarget(of: Pick<Target, "campaignId" | "endpoint" | "wave" | "orderKey">): Target {
  return {
    ...of,
    state: "queued",
    failure: null,
    attempt: 0,
    isUnderWay: false,
    isApplyPermitted: false,
    order: null,
    imageId: null,
    cell: null,
    deliveredBytes: 0,
    failures: {},
    notBeforeMs: null,
    sentence: "queued",
  };
}

/** Where a target is counted. */
export function placeOf(target: Target): Place {
  const { state, failure } = target;
  if (isFinalUpdateState(state)) return { phase: state, failure: state === "failed" ? failure : null };
  if (!target.isUnderWay) return { phase: "pending", failure: null };
  return { phase: state === "waitingToApply" && !target.isApplyPermitted ? "held" : "active", failure: null };
}

/** What a target's event changes beside its state. */
export type TargetChange = Partial<
  Pick<Target, "sentence" | "notBeforeMs" | "imageId" | "cell" | "deliveredBytes" | "failures" | "failure">
>;

/** Whether the table has an arrow. */
export const canMove = (target: Target, event: TargetEvent): boolean => TARGET[target.state][event] !== undefined;

/** @throws {BugError} `TARGET_EVENT` when the table has no arrow. */
export function moveTarget(target: Target, event: TargetEvent, change: TargetChange): Target {
  const arrow = TARGET[target.state][event];
  if (!arrow)
    throw new BugError("TARGET_EVENT", `a target that is ${target.state} knows no ${event}`, {
      endpoint: target.endpoint,
    });
  let next: Target = { ...target, ...change, state: arrow.to };
  for (const action of arrow.actions) next = ACTIONS[action](next);
  return next;
}

/** How a change is told to the campaign's counters. */
export function moveOf(before: Target, after: Target, begunBytes: number | null = null): TargetMove {
  return {
    wave: after.wave,
    from: placeOf(before),
    to: placeOf(after),
    cell: after.isUnderWay ? after.cell : before.cell,
    begunBytes,
    // A transfer that begins again brings its octets again.
    deliveredBytes: Math.max(0, after.deliveredBytes - (after.attempt === before.attempt ? before.deliveredBytes : 0)),
  };
}

const ACTIONS: { readonly [A in TargetAction]: (target: Target) => Target } = {
  open: (target) => ({
    ...target,
    isUnderWay: true,
    isApplyPermitted: false,
    attempt: target.attempt + 1,
    deliveredBytes: 0,
    notBeforeMs: null,
  }),
  close: (target) => ({ ...target, isUnderWay: false, isApplyPermitted: false, order: null, cell: null }),
  orderBegin: (target) => ({
    ...target,
    order: { kind: "begin", attempt: target.attempt, imageId: target.imageId ?? "" },
  }),
  orderApply: (target) => ({
    ...target,
    isApplyPermitted: true,
    order: { kind: "apply", attempt: target.attempt },
  }),
  orderHold: (target) => ({
    ...target,
    isApplyPermitted: false,
    order: { kind: "hold", attempt: target.attempt },
  }),
  orderCancel: (target) => ({ ...target, order: { kind: "cancel", attempt: target.attempt } }),
};
