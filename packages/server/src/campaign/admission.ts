/** Whether one device may be begun now, or told to apply: the rules about a device, one after the other. */
import type { ExclusionReason } from "@airlift/protocol/update/campaign";
import { type Campaign, openWaves } from "./campaign.ts";
import type { Candidate } from "./device.ts";
import { chooseImage, exclusionSentence } from "./exclusion.ts";
import type { OpeningHours } from "./opening-hours.ts";
import type { CampaignPolicy } from "./policy.ts";
import { clockText, UTC } from "./schedule/wall-clock.ts";
import type { PolicyImage } from "./stepping-stones.ts";

export type Admission =
  | { readonly kind: "begin"; readonly image: PolicyImage; readonly sentence: string }
  /** `untilMs`: when its window closes; null = it does not. */
  | { readonly kind: "apply"; readonly untilMs: number | null; readonly sentence: string }
  | { readonly kind: "wait"; readonly untilMs: number; readonly sentence: string }
  | { readonly kind: "exclude"; readonly reason: ExclusionReason; readonly sentence: string }
  | { readonly kind: "giveUp"; readonly sentence: string };

export interface AdmissionContext {
  readonly campaign: Campaign;
  readonly policy: CampaignPolicy;
  readonly hours: OpeningHours;
  readonly utcMs: number;
}

/** How soon a device is looked at again whose obstacle gives no sign when it goes away. */
export const LOOK_AGAIN_MS = 60_000;

/** Decides about a device whose wave is open and that the campaign's caps have a place for. */
export function admit(candidate: Candidate, context: AdmissionContext): Admission {
  const { policy } = context;
  const { device } = candidate;
  const chosen = chooseImage(candidate, policy);
  if ("reason" in chosen) return exclude(chosen.reason, candidate, policy);
  const obstacle =
    penalty(candidate, context) ??
    rivalry(candidate, context) ??
    absence(candidate, context) ??
    closedWindow(candidate, context, "download") ??
    fullCell(candidate, context);
  if (obstacle) return obstacle;
  const isStone = chosen.image.id !== policy.image.id;
  const sentence = isStone
    ? `starting with ${chosen.image.version}: ${policy.image.version} cannot be installed over ${device.version}`
    : "starting";
  return { kind: "begin", image: chosen.image, sentence };
}

/** Decides about a device that holds the image. */
export function admitApply(candidate: Candidate, context: AdmissionContext): Admission {
  return (
    closedWindow(candidate, context, "apply") ??
    fullCell(candidate, context) ?? {
      kind: "apply",
      untilMs: closesAtMs(candidate, context),
      sentence: "the device may apply the image",
    }
  );
}

/** What becomes of a permit to apply: it ends where the device's wave, or its window, has closed. */
export type PermitReview =
  | { readonly kind: "keep"; readonly untilMs: number | null }
  | { readonly kind: "withdraw"; readonly untilMs: number | null; readonly sentence: string };

/** Decides about a device that may apply the image, and has not said that it does. */
export function reviewPermit(candidate: Candidate, context: AdmissionContext): PermitReview {
  const { campaign, policy } = context;
  const { wave } = candidate.target;
  if (openWaves(campaign).includes(wave)) {
    const closed = closedWindow(candidate, context, "apply");
    if (closed?.kind !== "wait") return { kind: "keep", untilMs: closesAtMs(candidate, context) };
    return { kind: "withdraw", untilMs: closed.untilMs, sentence: closed.sentence };
  }
  const what =
    campaign.state === "running"
      ? `wave ${policy.waves[wave]?.name ?? wave + 1} is ${campaign.waves[wave]?.state}`
      : `the campaign is ${campaign.state}`;
  return { kind: "withdraw", untilMs: null, sentence: `waiting: ${what}; the device is told to wait with the image` };
}

function closesAtMs({ device }: Candidate, { hours }: AdmissionContext): number | null {
  const toMs = hours.next("apply", device).opening?.toMs ?? Number.POSITIVE_INFINITY;
  return toMs === Number.POSITIVE_INFINITY ? null : toMs;
}

const exclude = (reason: ExclusionReason, { device }: Candidate, policy: CampaignPolicy): Admission => ({
  kind: "exclude",
  reason,
  sentence: exclusionSentence(reason, device, policy),
});

function penalty({ history }: Candidate, { policy, utcMs }: AdmissionContext): Admission | undefined {
  const { failureCount, durationMs } = policy.penalty;
  if (history.failuresInRow < failureCount || history.lastFailureAtMs === null) return undefined;
  const untilMs = history.lastFailureAtMs + durationMs;
  if (untilMs <= utcMs) return undefined;
  return wait(
    untilMs,
    `its updates failed ${history.failuresInRow} times in a row; left alone until ${clockText(untilMs, UTC, utcMs)}`,
  );
}

function rivalry({ rival }: Candidate, { policy, utcMs }: AdmissionContext): Admission | undefined {
  if (rival === null) return undefined;
  const nextMs = utcMs + LOOK_AGAIN_MS;
  if (rival.isUnderWay) return wait(nextMs, `campaign ${rival.name} is updating the device`);
  if (rival.priority > policy.priority)
    return wait(nextMs, `campaign ${rival.name} has a higher priority for the device`);
  return undefined;
}

function absence({ target, device }: Candidate, { campaign, policy, utcMs }: AdmissionContext): Admission | undefined {
  if (device.presence === "registered") return undefined;
  const sinceMs = Math.max(campaign.waves[target.wave]?.startedAtMs ?? utcMs, device.lastSeenAtMs ?? 0);
  const untilMs = sinceMs + policy.silentAfterMs;
  if (untilMs <= utcMs) {
    const hours = Math.round(policy.silentAfterMs / 3_600_000);
    return { kind: "giveUp", sentence: `silent: nothing was heard of the device for ${hours} h` };
  }
  return wait(untilMs, "the device is not registered; going on when it is");
}

function closedWindow(
  candidate: Candidate,
  { hours, policy, utcMs }: AdmissionContext,
  step: "download" | "apply",
): Admission | undefined {
  const { target, device } = candidate;
  const { opening, zone } = hours.next(step, device);
  if (opening?.fromMs === utcMs) return undefined;
  if (!opening) {
    // An image that is held may wait for the operator; a device that was not begun is told so.
    if (target.isUnderWay) return wait(utcMs + 86_400_000, "its apply window never opens");
    return exclude("windowNeverOpens", candidate, policy);
  }
  return wait(opening.fromMs, `outside its ${step} window, next ${clockText(opening.fromMs, zone, utcMs)}`);
}

function fullCell({ target, device }: Candidate, { campaign, policy, utcMs }: AdmissionContext): Admission | undefined {
  const most = policy.caps.inFlightPerCell;
  const cell = target.isUnderWay ? target.cell : device.cell;
  if (most === null || cell === null || (campaign.cells[cell] ?? 0) < most) return undefined;
  return wait(utcMs + LOOK_AGAIN_MS, `${most} devices of radio cell ${cell} are being updated, as many as may at once`);
}

const wait = (untilMs: number, why: string): Admission => ({ kind: "wait", untilMs, sentence: `waiting: ${why}` });
