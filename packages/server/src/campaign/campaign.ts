/** A campaign as the rules hold it: one small plain value, saved in each transaction. Its devices are rows (`Target`). */
import type { CampaignState, WaveState } from "@airlift/protocol/update/campaign";
import { FINAL_CAMPAIGN_STATES } from "./campaign-table.ts";
import { type CriteriaMemory, newMemory } from "./criteria.ts";
import { NEW_PACE, type Pace, type Progress } from "./pace.ts";
import type { Person, PersonId } from "./person.ts";
import type { CampaignPolicy } from "./policy.ts";
import { NO_COUNTS, openCount, sumCounts, type WaveCounts } from "./wave-counts.ts";

export interface WaveProgress {
  readonly state: WaveState;
  readonly counts: WaveCounts;
  /** Counts up to which the criteria look away, since an operator went on. */
  readonly forgiven: WaveCounts;
  readonly memory: CriteriaMemory;
  readonly startedAtMs: number | null;
  readonly soakUntilMs: number | null;
  /** Octets that its devices have acknowledged, in all their attempts: a delta's own where one was sent. */
  readonly deliveredBytes: number;
  readonly sentence: string;
}

export interface Campaign {
  readonly id: string;
  readonly state: CampaignState;
  readonly createdBy: string;
  /** Who that is, whatever they are called (`PersonId`); absent = nobody was asked. */
  readonly creatorId?: PersonId | undefined;
  /** Everybody who has changed it, each once, who did so last at the end; absent = nobody. At most `MOST_EDITORS`. */
  readonly editors?: readonly Person[] | undefined;
  readonly approvedBy: string | null;
  readonly approverId?: PersonId | undefined;
  /** `due`: the prepared rollback is to be filled with the devices that were updated, and started; `started`: it was. */
  readonly rollback: "none" | "due" | "started";
  readonly waves: readonly WaveProgress[];
  readonly forgiven: WaveCounts;
  readonly memory: CriteriaMemory;
  readonly pace: Pace;
  /** Attempts begun. */
  readonly startedCount: number;
  /** Devices at work by radio cell, when there is a cap for cells; a cell with none is absent. */
  readonly cells: Readonly<Record<string, number>>;
  /** What is going on, in one sentence. */
  readonly sentence: string;
  /** When the sweep should look at it, wall time; null = only when something happens. */
  readonly wakeAtMs: number | null;
}

/** Which campaign it is, and who stands for what is written in it. */
export type Authorship = Pick<Campaign, "id" | "createdBy" | "creatorId" | "editors">;

/** A draft with its devices counted into waves. */
export function newCampaign(
  { id, createdBy, creatorId, editors }: Authorship,
  policy: CampaignPolicy,
  deviceCounts: readonly number[],
): Campaign {
  const waves = policy.waves.map((wave, i): WaveProgress => {
    const total = deviceCounts[i] ?? 0;
    return {
      state: "waiting",
      counts: { ...NO_COUNTS, total, pending: total },
      forgiven: NO_COUNTS,
      memory: newMemory(wave.criteria),
      startedAtMs: null,
      soakUntilMs: null,
      deliveredBytes: 0,
      sentence: i === 0 ? "waiting for the campaign to start" : "waiting for the waves before it",
    };
  });
  return {
    id,
    state: "draft",
    createdBy,
    ...(creatorId !== undefined && { creatorId }),
    ...(editors !== undefined && { editors }),
    approvedBy: null,
    rollback: "none",
    waves,
    forgiven: NO_COUNTS,
    memory: newMemory(policy.criteria),
    pace: NEW_PACE,
    startedCount: 0,
    cells: {},
    sentence: "nothing happens before it is submitted and started",
    wakeAtMs: null,
  };
}

/** The rollback as it is prepared with its campaign: approved along with it, without devices until it is needed. */
export function newRollback(of: Authorship, policy: CampaignPolicy): Campaign {
  return { ...newCampaign(of, policy, []), state: "ready", sentence: "prepared; started by a criterion or by hand" };
}

/** Whoever approved a campaign has approved its rollback. */
export function approvedAlong(rollback: Campaign, { approvedBy, approverId }: Campaign): Campaign {
  return { ...rollback, approvedBy, ...(approverId !== undefined && { approverId }) };
}

export const isFinalCampaign = ({ state }: Campaign): boolean => FINAL_CAMPAIGN_STATES.includes(state);

/** Counts of all waves together. */
export const countsOf = (campaign: Campaign): WaveCounts => sumCounts(campaign.waves.map(({ counts }) => counts));

/** Waves whose devices may be begun and told to apply now, by number; none unless the campaign runs. */
export function openWaves(campaign: Campaign): number[] {
  if (campaign.state !== "running") return [];
  return campaign.waves.flatMap(({ state }, i) =>
    state === "running" || state === "soaking" || state === "passed" ? [i] : [],
  );
}

export function progressOf(campaign: Campaign): Progress {
  let activeCount = 0;
  let succeededCount = 0;
  for (const { counts } of campaign.waves) {
    activeCount += counts.active;
    succeededCount += counts.succeeded;
  }
  return { activeCount, succeededCount, startedCount: campaign.startedCount };
}

export const hasOpenTargets = (campaign: Campaign): boolean =>
  campaign.waves.some(({ counts }) => openCount(counts) > 0);
