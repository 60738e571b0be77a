/** What an operator reads of a campaign, its waves and its devices: one plain sentence each. */
import { countText } from "@airlift/protocol/lib/count-text";
import type { CriterionOutcome, ExclusionReason } from "@airlift/protocol/update/campaign";
import type { Campaign } from "./campaign.ts";
import type { Verdict } from "./criteria.ts";
import type { Allowance } from "./pace.ts";
import type { CampaignPolicy } from "./policy.ts";
import { clockText, UTC } from "./schedule/wall-clock.ts";
import type { Target } from "./target.ts";
import { executedCount, failedCount, type WaveCounts } from "./wave-counts.ts";

const percentText = (basisPoints: number): string => `${basisPoints / 100} %`;
const timeText = (utcMs: number): string => `${new Date(utcMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** What became of a device, as a sentence about it goes on. */
const OUTCOME_WORDS: { readonly [O in CriterionOutcome]: string } = {
  failed: "failed",
  silent: "fell silent",
  fellBack: "fell back to the old version",
  noFlash: "had too little flash memory",
  noMemory: "ran out of memory",
  connectionLost: "lost the connection",
  integrityFailed: "found the image damaged or not signed as they trust",
  unsupportedPackage: "do not support the package",
  invalidUri: "could not fetch the image",
  updateFailed: "failed to install the image",
  unsupportedProtocol: "do not support the protocol",
  cancelledByDevice: "cancelled the update themselves",
  deferredTooLong: "put the installation off for too long",
  conflictingState: "had another component under way",
  dependencyError: "want another component first",
  rejected: "refused the update",
  timedOut: "took too long",
  wrongVersion: "run another version than the one installed",
  noFirmwareUpdateObject: "have no Firmware Update object",
  noCommonMethod: "have no way of delivery in common with the server",
};

function listText(outcomes: readonly CriterionOutcome[]): string {
  const words = outcomes.map((outcome) => OUTCOME_WORDS[outcome]);
  const last = words.pop() ?? "";
  return words.length === 0 ? last : `${words.join(", ")} or ${last}`;
}

/** Where a criterion stands: "2 of 40 devices that ended in wave canary failed or fell silent; the limit is 2.5 %". */
export function standingSentence({ criterion, matched, executed }: Verdict, wave: string | null): string {
  const where = wave === null ? "" : ` in wave ${wave}`;
  const limit =
    "count" in criterion.threshold ? `${criterion.threshold.count}` : percentText(criterion.threshold.basisPoints);
  const later = executed < criterion.minimumExecuted ? `, judged from ${criterion.minimumExecuted} on` : "";
  return `${matched} of ${countText(executed, "device")} that ended${where} ${listText(criterion.outcomes)}; the limit is ${limit}${later}`;
}

export function verdictSentence(verdict: Verdict, wave: string | null): string {
  const seen = standingSentence(verdict, wave);
  switch (verdict.criterion.action) {
    case "pauseWave":
    case "pauseCampaign":
      return `paused by itself: ${seen}`;
    case "abort":
      return `aborted by itself: ${seen}`;
    case "startRollback":
      return `aborted by itself, the rollback starts: ${seen}`;
  }
}

export const soakSentence = (wave: string, untilMs: number): string =>
  `wave ${wave} succeeded and soaks until ${timeText(untilMs)}`;

export const fallenShortSentence = (wave: string, counts: WaveCounts, needed: number): string =>
  `wave ${wave} failed: ${counts.succeeded} of ${countText(executedCount(counts), "device")} that ended succeeded, ${percentText(needed)} can no longer be reached`;

export const unprovedSentence = (wave: string, { total }: WaveCounts): string =>
  `wave ${wave} proved nothing: ${total === 1 ? "its device was" : `all ${total} of its devices were`} skipped or cancelled; resume to go on without it`;

export function finishedSentence(counts: WaveCounts): string {
  if (counts.total === 0) return "finished: no device matched";
  const ends = [
    [counts.succeeded, "succeeded"],
    [failedCount(counts), "failed"],
    [counts.silent, "silent"],
    [counts.fellBack, "fell back"],
    [counts.cancelled, "cancelled"],
    [counts.skipped, "skipped"],
  ] as const;
  return `finished: ${ends.flatMap(([count, word]) => (count > 0 ? [`${count} ${word}`] : [])).join(", ")}`;
}

export interface ExclusionFacts {
  readonly version: string | null;
  readonly imageVersion: string;
  readonly model: string | null;
  readonly hardware: string | null;
}

export const EXCLUSIONS: { readonly [R in ExclusionReason]: (facts: ExclusionFacts) => string } = {
  alreadyRuns: ({ imageVersion }) => `skipped: the device already runs ${imageVersion}`,
  otherModel: ({ model }) => `skipped: the image is for another model than ${model}`,
  otherHardware: ({ hardware }) => `skipped: the image does not run on hardware ${hardware}`,
  downgrade: ({ version, imageVersion }) =>
    `skipped: ${imageVersion} is lower than the device's ${version}, and the campaign does not allow downgrades`,
  noSteppingStone: ({ version, imageVersion }) =>
    `skipped: no chain of images leads from ${version} to ${imageVersion}`,
  loop: ({ imageVersion }) =>
    `skipped: another campaign took the device away from ${imageVersion} before; that would go round in a circle`,
  windowNeverOpens: () => "skipped: its window never opens",
};

/**
 * Why a device that the campaign has not begun, or not told to apply, still waits: from what holds the whole campaign or wave, else the
 * device's own sentence. For showing; it is not stored, so that a pause does not write a million rows.
 *
 * @param room What the caps left when they were last asked, if they were.
 */
export function waitingSentence(
  target: Target,
  { campaign, policy, room }: { campaign: Campaign; policy: CampaignPolicy; room?: Allowance | undefined },
  utcMs: number,
): string {
  const isHeld = target.isUnderWay;
  const not = isHeld ? "not applied" : "not started";
  const wave = campaign.waves[target.wave];
  const name = policy.waves[target.wave]?.name ?? String(target.wave + 1);
  switch (campaign.state) {
    case "running":
      break;
    case "paused":
      return `${not}: the campaign is paused (${campaign.sentence})`;
    case "stopped":
    case "aborted":
      return `${not}: the campaign was ${campaign.state}`;
    default:
      return `${not}: the campaign is ${campaign.state === "awaitingApproval" ? "waiting for approval" : campaign.state}`;
  }
  if (wave?.state === "waiting") return `${not}: wave ${name} waits for ${beforeText(campaign, policy, target.wave)}`;
  if (wave?.state === "paused" || wave?.state === "failed") return `${not}: ${wave.sentence}`;
  if (target.notBeforeMs !== null && target.notBeforeMs > utcMs) return target.sentence;
  return room?.because ? `${not}: ${roomText(room, policy)}` : target.sentence;
}

function beforeText(campaign: Campaign, policy: CampaignPolicy, wave: number): string {
  const at = campaign.waves.findIndex(({ state }, i) => i < wave && state !== "passed");
  const before = campaign.waves[at];
  const name = policy.waves[at]?.name ?? "the one before";
  if (before?.state === "soaking" && before.soakUntilMs !== null)
    return `wave ${name} to soak until ${timeText(before.soakUntilMs)}`;
  if (before?.state === "paused" || before?.state === "failed") return `wave ${name}, which is ${before.state}`;
  return `wave ${name} to pass`;
}

function roomText({ because, atMs }: Allowance, { caps }: CampaignPolicy): string {
  const next = atMs === null ? "" : `, next ${clockText(atMs, UTC, atMs)}`;
  if (because === "inFlight")
    return `${countText(caps.inFlight ?? 0, "device is", "devices are")} being updated, as many as the campaign may at once`;
  if (because === "bytes") return `the campaign sends ${caps.bytesPerSecond} bytes a second at most${next}`;
  return `the campaign has started as many devices as it may in a minute${next}`;
}
