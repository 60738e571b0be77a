/** Whether a criterion is met, on counters alone. */

import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import { countText } from "@airlift/protocol/lib/count-text";
import type { CriterionPolicy } from "./policy.ts";
import { countEnd, NO_SLIDING_COUNTS, type SlidingCounts, within } from "./sliding-counts.ts";
import { executedCount, isExecuted, isOutcome, outcomeCount, type Place, type WaveCounts } from "./wave-counts.ts";

/** What a list of criteria remembers: a ring for each that has a window, null for the others. */
export type CriteriaMemory = readonly (SlidingCounts | null)[];

export const newMemory = (criteria: readonly CriterionPolicy[]): CriteriaMemory =>
  criteria.map(({ windowMs }) => (windowMs === null ? null : NO_SLIDING_COUNTS));

/** Remembers that a device ended here. */
export function remember(
  memory: CriteriaMemory,
  criteria: readonly CriterionPolicy[],
  end: { place: Place; utcMs: number },
): CriteriaMemory {
  if (!isExecuted(end.place) || memory.every((one) => one === null)) return memory;
  return memory.map((ring, i) => {
    const criterion = criteria[i];
    if (ring === null || criterion === undefined || criterion.windowMs === null) return ring;
    const matched = isOutcome(end.place, criterion.outcomes);
    return countEnd(ring, { windowMs: criterion.windowMs, matched }, end.utcMs);
  });
}

/** A criterion with the numbers that it is judged by. */
export interface Verdict {
  readonly criterion: CriterionPolicy;
  readonly matched: number;
  readonly executed: number;
}

/**
 * The gravest criterion that is met.
 *
 * @param counts What happened since the criteria were last forgiven.
 */
export function judge(
  criteria: readonly CriterionPolicy[],
  { counts, memory }: { readonly counts: WaveCounts; readonly memory: CriteriaMemory },
  utcMs: number,
): Verdict | undefined {
  let gravest: Verdict | undefined;
  for (const standing of standings(criteria, { counts, memory }, utcMs)) {
    const { criterion, matched, executed } = standing;
    if (!isMet(criterion, matched, executed)) continue;
    if (!gravest || GRAVITY[criterion.action] > GRAVITY[gravest.criterion.action]) gravest = standing;
  }
  return gravest;
}

/** Where each criterion stands, met or not. */
export function standings(
  criteria: readonly CriterionPolicy[],
  { counts, memory }: { readonly counts: WaveCounts; readonly memory: CriteriaMemory },
  utcMs: number,
): Verdict[] {
  return criteria.map((criterion, i) => {
    const ring = memory[i];
    const { executed, matched } =
      criterion.windowMs !== null && ring
        ? within(ring, criterion.windowMs, utcMs)
        : { executed: executedCount(counts), matched: outcomeCount(counts, criterion.outcomes) };
    return { criterion, matched, executed };
  });
}

const GRAVITY = { pauseWave: 0, pauseCampaign: 1, abort: 2, startRollback: 3 } as const;

function isMet({ threshold, minimumExecuted }: CriterionPolicy, matched: number, executed: number): boolean {
  if (matched === 0 || executed < minimumExecuted) return false;
  if ("count" in threshold) return matched >= threshold.count;
  return matched * 10_000 >= threshold.basisPoints * executed;
}

/** What a spec's criteria can never do, in plain sentences for the plan. */
export function criteriaProblems(spec: CampaignSpec, waveCounts: readonly number[]): string[] {
  const total = waveCounts.reduce((sum, one) => sum + one, 0);
  const lists = [
    { of: "the campaign", criteria: spec.criteria, size: total },
    ...spec.waves.map((wave, i) => ({ of: `wave ${wave.name}`, criteria: wave.criteria, size: waveCounts[i] ?? 0 })),
  ];
  return lists.flatMap(({ of, criteria, size }) =>
    criteria.flatMap(({ threshold, minimumExecuted }) => {
      const needed = Math.max(minimumExecuted, "count" in threshold ? threshold.count : 0);
      return needed > size
        ? [
            `a criterion of ${of} needs ${countText(needed, "device")} that ended, and there are ${size}: it can never be met`,
          ]
        : [];
    }),
  );
}
