/** What news of an attempt's update makes of its target: followed, tried again, gone on with, or ended. */
import type { FailureKind, UpdateState } from "@airlift/protocol/update/device-update";
import type { CampaignPolicy, RetryPolicy } from "./policy.ts";
import { clockText, UTC } from "./schedule/wall-clock.ts";
import { canMove, moveTarget, type Target, type TargetChange } from "./target.ts";
import type { TargetEvent } from "./target-table.ts";

/** What delivery tells of an attempt: the state and sentence of its update. */
export interface UpdateNews {
  readonly attempt: number;
  readonly state: UpdateState;
  readonly failure: FailureKind | null;
  readonly sentence: string;
  /** Octets of the package that the device has acknowledged; absent when the news are not of its transfer. */
  readonly acknowledgedBytes?: number | undefined;
}

/** The target after the news; undefined when they are old, or tell nothing new. News may come late, twice, and out of order. */
export function followUpdate(
  target: Target,
  news: UpdateNews,
  { policy, utcMs }: { policy: CampaignPolicy; utcMs: number },
): Target | undefined {
  if (!target.isUnderWay || news.attempt !== target.attempt || news.state === "queued") return undefined;
  if (news.state === target.state)
    return news.sentence === target.sentence ? undefined : { ...target, sentence: news.sentence };
  const { event, change } = read(target, news, { policy, utcMs });
  if (!canMove(target, event)) return undefined;
  const { acknowledgedBytes: deliveredBytes = target.deliveredBytes } = news;
  const next = moveTarget(target, event, { ...change, deliveredBytes });
  // Whoever holds the image has been told to begin; the order is done, whether or not its taker could say so.
  return next.order?.kind === "begin" ? { ...next, order: null } : next;
}

function read(
  target: Target,
  { state, failure, sentence }: UpdateNews,
  { policy, utcMs }: { policy: CampaignPolicy; utcMs: number },
): { event: TargetEvent; change: TargetChange } {
  if (state === "failed") return readFailure(target, { kind: failure ?? "updateFailed", sentence }, { policy, utcMs });
  const isStone = target.imageId !== null && target.imageId !== policy.image.id;
  if (isStone && (state === "succeeded" || state === "skipped"))
    return {
      event: "nextStone",
      change: { notBeforeMs: utcMs, sentence: `${sentence}; going on to ${policy.image.version}` },
    };
  if (state === "waitingToApply" && !target.isApplyPermitted)
    return { event: state, change: { sentence, notBeforeMs: utcMs } };
  return { event: state === "queued" ? "waiting" : state, change: { sentence } };
}

function readFailure(
  target: Target,
  { kind, sentence }: { kind: FailureKind; sentence: string },
  { policy, utcMs }: { policy: CampaignPolicy; utcMs: number },
): { event: TargetEvent; change: TargetChange } {
  const count = (target.failures[kind] ?? 0) + 1;
  const failures = { ...target.failures, [kind]: count };
  const retry = policy.retry[kind];
  // A device that was told to stop is not tried again.
  if (retry === undefined || count >= retry.attemptCount || target.order?.kind === "cancel")
    return { event: "failed", change: { sentence, failure: kind, failures } };
  const notBeforeMs = utcMs + backoffMs(retry, count);
  const again = `${sentence}; attempt ${count + 1} of ${retry.attemptCount} at ${clockText(notBeforeMs, UTC, utcMs)}`;
  return { event: "retry", change: { sentence: again, failures, notBeforeMs } };
}

/** The pause after so many failures of a kind: doubling, up to the longest. */
export function backoffMs({ backoffMs: first, longestMs }: RetryPolicy, failureCount: number): number {
  return Math.min(longestMs, first * 2 ** Math.min(30, failureCount - 1));
}
