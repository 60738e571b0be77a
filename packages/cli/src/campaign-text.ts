/** Campaigns and their plans for people at a terminal. */

import type { Campaign, CampaignPlan, CampaignTarget, WaveCounts } from "@airlift/protocol/api/campaign";
import { countText } from "@airlift/protocol/lib/count-text";
import type { Command } from "commander";
import { printResult } from "./terminal.ts";
import { clockText, pairs, printable, sizeText, table } from "./text.ts";

export const failedCount = ({ failed, silent, fellBack }: WaveCounts): number =>
  Object.values(failed).reduce((sum, count) => sum + count, silent + fellBack);

/** "12 succeeded, 2 failed, 1 silent"; "none" when nobody is anywhere. */
export function countsText({ failed, ...counts }: WaveCounts): string {
  const words = [
    ["succeeded", counts.succeeded],
    ...Object.entries(failed).map(([kind, count]) => [`failed (${kind})`, count] as const),
    ["silent", counts.silent],
    ["fell back", counts.fellBack],
    ["cancelled", counts.cancelled],
    ["skipped", counts.skipped],
    ["under way", counts.active],
    ["waiting to apply", counts.held],
    ["waiting", counts.pending],
  ] as const;
  return words.flatMap(([word, count]) => (count > 0 ? [`${count} ${word}`] : [])).join(", ") || "none";
}

/** Gateways that are named one by one. */
const MOST_GATEWAYS = 3;

/** "running (started by otto: 12 devices in 3 waves)"; a sentence that says the state itself is enough. */
export const standingText = ({ state, sentence }: Pick<Campaign | CampaignTarget, "state" | "sentence">): string =>
  sentence.startsWith(state) ? sentence : `${state} (${sentence})`;

/** "air: 5.6 s of 14.8 s planned, 26.8 s of 32.4 s left at north-1 in 868.0-868.6", then who lacks how much; empty without a mesh. */
export function broadcastLines({ broadcast }: Pick<Campaign, "broadcast">): string[] {
  if (broadcast == null) return [];
  const { airtimeUsedMs, airtimePlannedMs, budgets, deficits } = broadcast;
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const left = budgets.map(
    ({ gatewayId, band, leftMs, budgetMs }) =>
      `${seconds(leftMs)} of ${seconds(budgetMs)} left at ${gatewayId} in ${band}`,
  );
  const others = left.length > MOST_GATEWAYS ? [`and ${left.length - MOST_GATEWAYS} more gateways`] : [];
  const used = `air: ${seconds(airtimeUsedMs)} of ${seconds(airtimePlannedMs)} planned`;
  const missing = [
    ["miss 1-4", deficits.to4],
    ["miss 5-16", deficits.to16],
    ["miss 17-64", deficits.to64],
    ["miss more than 64", deficits.more],
    ["not heard of yet", deficits.unheard],
  ] as const;
  const counts = missing.flatMap(([word, count]) => (count > 0 ? [`${count} ${word}`] : []));
  return [
    [used, ...left.slice(0, MOST_GATEWAYS), ...others].join(", "),
    `packets: ${[`${deficits.none} have all`, ...counts].join(", ")}`,
  ];
}

/** A campaign in one line, or as JSON. */
export const printCampaign = (command: Command, campaign: Campaign): void =>
  printResult(command, campaign, () => {
    const { name, counts } = campaign;
    return `${printable(`${name}: ${standingText(campaign)}; ${countsText(counts)}`)}\n`;
  });

export function campaignText(campaign: Campaign): string {
  const { counts, waves, criteria } = campaign;
  const standing = [...criteria, ...waves.flatMap((wave) => wave.criteria)];
  return [
    pairs([
      ["campaign", campaign.id],
      ["name", campaign.name],
      ["image", campaign.imageId],
      ["state", campaign.state],
      ["why", campaign.sentence],
      ["targets", campaign.spec.targets.query],
      ["devices", `${counts.total}: ${countsText(counts)}`],
      ["broadcast", broadcastLines(campaign).join("; ") || "none"],
      ["created", `${clockText(campaign.createdAt, Date.now())} by ${campaign.createdBy}`],
      ...(campaign.changedBy.length === 0 ? [] : [["changed", `by ${campaign.changedBy.join(", ")}`] as const]),
      ["approved", approvalText(campaign)],
      ["revision", campaign.revision],
      ["rollback", campaign.rollbackId ?? (campaign.rollbackOf === null ? "none" : `undoes ${campaign.rollbackOf}`)],
    ]),
    table(
      ["WAVE", "STATE", "DEVICES", "SUCCEEDED", "FAILED", "OPEN", "WHY"],
      waves.map((wave) => [
        wave.name,
        wave.state,
        `${wave.counts.total}`,
        `${wave.counts.succeeded}`,
        `${failedCount(wave.counts)}`,
        `${wave.counts.pending + wave.counts.active + wave.counts.held}`,
        wave.sentence,
      ]),
    ),
    ...standing.map(({ criterion, sentence }) => `${criterion.do} at: ${printable(sentence)}\n`),
  ].join("");
}

function approvalText({ approvedBy, approvalReason, rollbackOf }: Campaign): string {
  if (approvedBy !== null) return approvedBy;
  if (rollbackOf !== null) return "with the campaign that it undoes";
  return approvalReason === null ? "not needed" : `needs approval: ${approvalReason}`;
}

export function planText(plan: CampaignPlan): string {
  const end = (instant: string | null) =>
    instant === null ? "never, as it is written" : clockText(instant, Date.now());
  return [
    pairs([
      ["matched", countText(plan.matchedCount, "device")],
      ["to update", `${countText(plan.targetCount, "device")}, ${sizeText(plan.bytes)}`],
      [
        "airtime",
        plan.airtimeMs === null
          ? "none: no device behind a gateway, or see the warnings"
          : `${Math.round(plan.airtimeMs / 1000)} s`,
      ],
      ["expected end", end(plan.expectedEndAt)],
    ]),
    table(
      ["WAVE", "DEVICES", "BYTES", "EXPECTED END"],
      plan.waves.map((wave) => [wave.name, `${wave.count}`, sizeText(wave.bytes), end(wave.expectedEndAt)]),
    ),
    ...plan.exclusions.map(
      ({ count, sentence, endpoints }) =>
        `${count} left out: ${printable(sentence)} (${printable(endpoints.slice(0, 3).join(", "))}${count > 3 ? ", …" : ""})\n`,
    ),
    ...plan.warnings.map((warning) => `warning: ${printable(warning)}\n`),
  ].join("");
}
