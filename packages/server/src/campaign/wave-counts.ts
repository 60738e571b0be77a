/** How many devices of a wave stand where: the only thing a campaign is judged by. */
import type { CriterionOutcome } from "@airlift/protocol/update/campaign";
import type { FailureKind, FinalUpdateState } from "@airlift/protocol/update/device-update";

/** Where a device of a campaign stands, as counted. `active` holds a place under the caps, `held` has the image and waits for the word to apply. */
export type TargetPhase = "pending" | "active" | "held" | FinalUpdateState;

/** Every device is in exactly one phase: the phases' sum is `total`. */
export interface WaveCounts {
  readonly total: number;
  readonly pending: number;
  readonly active: number;
  readonly held: number;
  readonly succeeded: number;
  readonly failed: Readonly<Partial<Record<FailureKind, number>>>;
  readonly silent: number;
  readonly fellBack: number;
  readonly cancelled: number;
  readonly skipped: number;
}

export const NO_COUNTS: WaveCounts = {
  total: 0,
  pending: 0,
  active: 0,
  held: 0,
  succeeded: 0,
  failed: {},
  silent: 0,
  fellBack: 0,
  cancelled: 0,
  skipped: 0,
};

/** Where a device is counted. `failure` is there when `phase` is "failed". */
export interface Place {
  readonly phase: TargetPhase;
  readonly failure: FailureKind | null;
}

/** Adds `by` devices at a place; negative takes them away. */
export function countAt(counts: WaveCounts, { phase, failure }: Place, by: number): WaveCounts {
  if (phase !== "failed") return { ...counts, [phase]: counts[phase] + by };
  const kind = failure ?? "updateFailed";
  return { ...counts, failed: { ...counts.failed, [kind]: (counts.failed[kind] ?? 0) + by } };
}

/**
 * What stays forgiven when a device leaves where it had ended, to be tried again: it can end badly once more, and is to count then.
 * Whether that one was among the forgiven is not known; it is taken to be, so that what has been counted since stays counted.
 */
export function forgivenWithout(forgiven: WaveCounts, place: Place): WaveCounts {
  const { phase, failure } = place;
  const count = phase === "failed" ? (forgiven.failed[failure ?? "updateFailed"] ?? 0) : forgiven[phase];
  return isExecuted(place) && count > 0 ? countAt(forgiven, place, -1) : forgiven;
}

export function failedCount(counts: WaveCounts): number {
  let sum = 0;
  for (const count of Object.values(counts.failed)) sum += count;
  return sum;
}

/** Devices that have not ended. */
export const openCount = (counts: WaveCounts): number => counts.pending + counts.active + counts.held;

/** Devices whose update came to an end of its own, good or bad: what a percentage is of. */
export const executedCount = (counts: WaveCounts): number =>
  counts.succeeded + failedCount(counts) + counts.silent + counts.fellBack;

/** Devices that count for success: all but those that were skipped or cancelled. */
export const countedCount = (counts: WaveCounts): number => counts.total - counts.skipped - counts.cancelled;

/** How many ended in one of these ways, each counted once. */
export function outcomeCount(counts: WaveCounts, outcomes: readonly CriterionOutcome[]): number {
  const hasFailed = outcomes.includes("failed");
  let sum = hasFailed ? failedCount(counts) : 0;
  for (const outcome of new Set(outcomes)) {
    if (outcome === "failed") continue;
    if (outcome === "silent" || outcome === "fellBack") sum += counts[outcome];
    else if (!hasFailed) sum += counts.failed[outcome] ?? 0;
  }
  return sum;
}

export function isOutcome({ phase, failure }: Place, outcomes: readonly CriterionOutcome[]): boolean {
  if (phase === "silent" || phase === "fellBack") return outcomes.includes(phase);
  return phase === "failed" && (outcomes.includes("failed") || (failure !== null && outcomes.includes(failure)));
}

export const isExecuted = ({ phase }: Place): boolean =>
  phase === "succeeded" || phase === "failed" || phase === "silent" || phase === "fellBack";

export function sumCounts(all: readonly WaveCounts[]): WaveCounts {
  return all.reduce((sum, one) => combine(sum, one, 1), NO_COUNTS);
}

/** What was counted since `before`. */
export const countsSince = (counts: WaveCounts, before: WaveCounts): WaveCounts => combine(counts, before, -1);

function combine(a: WaveCounts, b: WaveCounts, sign: 1 | -1): WaveCounts {
  const failed: Partial<Record<FailureKind, number>> = { ...a.failed };
  for (const [kind, count] of Object.entries(b.failed)) {
    const key = kind as FailureKind;
    failed[key] = (failed[key] ?? 0) + sign * count;
  }
  return {
    total: a.total + sign * b.total,
    pending: a.pending + sign * b.pending,
    active: a.active + sign * b.active,
    held: a.held + sign * b.held,
    succeeded: a.succeeded + sign * b.succeeded,
    failed,
    silent: a.silent + sign * b.silent,
    fellBack: a.fellBack + sign * b.fellBack,
    cancelled: a.cancelled + sign * b.cancelled,
    skipped: a.skipped + sign * b.skipped,
  };
}
