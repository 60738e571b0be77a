/** A campaign as the API shows it, from what is kept of it. */
import type {
  Campaign,
  CampaignSummary,
  CampaignTarget,
  CriterionStanding,
  Criterion as WrittenCriterion,
} from "@airlift/protocol/api/campaign";
import { approvalOf } from "../campaign/approval.ts";
import { type Campaign as CampaignValue, countsOf, progressOf } from "../campaign/campaign.ts";
import { standings } from "../campaign/criteria.ts";
import { allowance } from "../campaign/pace.ts";
import type { CriterionPolicy } from "../campaign/policy.ts";
import { standingSentence, waitingSentence } from "../campaign/sentences.ts";
import { placeOf, type Target } from "../campaign/target.ts";
import { countsSince } from "../campaign/wave-counts.ts";
import type { KeptCampaign } from "../store/campaign-reading.ts";

export function summarize({ campaign, policy, spec, ...kept }: KeptCampaign): CampaignSummary {
  return {
    id: campaign.id,
    name: spec.name,
    imageId: spec.image,
    state: campaign.state,
    sentence: campaign.sentence,
    counts: countsOf(campaign),
    createdBy: campaign.createdBy,
    changedBy: (campaign.editors ?? []).map(({ name }) => name),
    approvedBy: campaign.approvedBy,
    needsApproval: approvalOf(policy) !== null,
    approvalReason: approvalOf(policy),
    rollbackId: kept.rollbackId,
    rollbackOf: kept.rollbackOf,
    createdAt: kept.createdAt,
    updatedAt: kept.updatedAt,
  };
}

/** @param utcMs The moment that the windows of criteria end at. */
export function showCampaign(kept: KeptCampaign, utcMs: number): Campaign {
  const { campaign, policy, spec } = kept;
  const whole = { counts: countsSince(countsOf(campaign), campaign.forgiven), memory: campaign.memory };
  return {
    ...summarize(kept),
    revision: kept.revision,
    spec,
    waves: campaign.waves.map((wave, i) => ({
      name: spec.waves[i]?.name ?? `${i + 1}`,
      state: wave.state,
      sentence: wave.sentence,
      counts: wave.counts,
      deliveredBytes: wave.deliveredBytes,
      criteria: standingsOf(
        { written: spec.waves[i]?.criteria ?? [], read: policy.waves[i]?.criteria ?? [] },
        { counts: countsSince(wave.counts, wave.forgiven), memory: wave.memory },
        { wave: spec.waves[i]?.name ?? null, utcMs },
      ),
      startedAt: instantText(wave.startedAtMs),
      soakUntil: instantText(wave.soakUntilMs),
    })),
    criteria: standingsOf({ written: spec.criteria, read: policy.criteria }, whole, { wave: null, utcMs }),
  };
}

/** Devices of a campaign, each with a sentence that is true at `utcMs`. */
export function showTargets(
  { campaign, policy }: Pick<KeptCampaign, "campaign" | "policy">,
  targets: readonly Target[],
  { updateIds, utcMs }: { readonly updateIds: ReadonlyMap<string, string>; readonly utcMs: number },
): CampaignTarget[] {
  const room = allowance(policy.caps, campaign.pace, { progress: progressOf(campaign), utcMs });
  return targets.map((target) => {
    const { phase } = placeOf(target);
    const waits = phase === "pending" || phase === "held";
    return {
      campaignId: target.campaignId,
      endpoint: target.endpoint,
      wave: target.wave,
      state: target.state,
      failure: target.failure,
      attempt: target.attempt,
      updateId: updateIds.get(target.endpoint) ?? null,
      sentence: waits ? waitingSentence(target, { campaign, policy, room }, utcMs) : target.sentence,
    };
  });
}

function standingsOf(
  { written, read }: { readonly written: readonly WrittenCriterion[]; readonly read: readonly CriterionPolicy[] },
  counted: Pick<CampaignValue["waves"][number], "counts" | "memory">,
  { wave, utcMs }: { readonly wave: string | null; readonly utcMs: number },
): CriterionStanding[] {
  return standings(read, counted, utcMs).flatMap((standing, i) => {
    const criterion = written[i];
    if (criterion === undefined) return [];
    const { matched, executed } = standing;
    return [{ criterion, matched, executed, sentence: standingSentence(standing, wave) }];
  });
}

const instantText = (utcMs: number | null): string | null => (utcMs === null ? null : new Date(utcMs).toISOString());
