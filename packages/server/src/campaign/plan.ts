/** What a campaign would do, without doing it: waves, counts, bytes, who is left out and why, and when it may end. */
import type { CampaignPlan, CampaignSpec } from "@airlift/protocol/api/campaign";
import type { ExclusionReason } from "@airlift/protocol/update/campaign";
import { approvalOf } from "./approval.ts";
import { criteriaProblems } from "./criteria.ts";
import type { Candidate } from "./device.ts";
import { estimateEnds } from "./estimate.ts";
import { exclusionOf, exclusionSentence } from "./exclusion.ts";
import { OpeningHours } from "./opening-hours.ts";
import type { CampaignPolicy } from "./policy.ts";
import type { OffsetAt } from "./schedule/wall-clock.ts";
import { chainFrom, stoneProblems } from "./stepping-stones.ts";
import { queriedWave, waveSizes } from "./waves.ts";

/** A device that the query matched. */
export type PlannedDevice = Pick<Candidate, "device" | "history">;

export interface PlanContext {
  readonly spec: CampaignSpec;
  readonly policy: CampaignPolicy;
  readonly offsetAt: OffsetAt;
  readonly utcMs: number;
  /** Somebody has approved it as it is: it needs no more. */
  readonly isApproved?: boolean;
  /** How long one device's update takes, apart from waiting. */
  readonly updateMs?: number;
}

/** What broadcasting the image to the devices behind gateways takes. */
export interface PlannedAirtime {
  /** Null when there are none, or it cannot be done as things are. */
  readonly airtimeMs: number | null;
  readonly warnings: readonly string[];
}

const NO_AIRTIME: PlannedAirtime = { airtimeMs: null, warnings: [] };

/** An update over a constrained link: some minutes of transfer, one of installing and boot. */
export const DEFAULT_UPDATE_MS = 5 * 60_000;
/** A query that finds every device is worth a word when they are so many: fewer are a trial. */
export const WHOLE_FLEET_COUNT = 10;
/** Endpoints shown for each reason. */
const SAMPLE_COUNT = 10;

interface Exclusion {
  readonly reason: ExclusionReason;
  readonly sentence: string;
  readonly endpoints: string[];
  count: number;
}

/** Counts one device after the other, so that a store can stream a million of them by. */
export class CampaignPlanner {
  readonly #context: PlanContext;
  readonly #hours: OpeningHours;
  readonly #exclusions = new Map<ExclusionReason, Exclusion>();
  readonly #queriedCounts: number[];
  readonly #dealtCounts: number[];
  readonly #warnings = new Set<string>();
  #matchedCount = 0;
  #lateCount = 0;
  #isDealt = false;
  #targetCount = 0;
  #bytes = 0;

  constructor(context: PlanContext) {
    this.#context = context;
    this.#hours = new OpeningHours(context.policy, context.offsetAt, context.utcMs);
    this.#queriedCounts = context.policy.waves.map(() => 0);
    this.#dealtCounts = context.policy.waves.map(() => 0);
  }

  /**
   * @param dealtWave The wave that the device has been dealt into, when it has: of all devices, or of none.
   * @returns Whether the device would be updated.
   */
  add(planned: PlannedDevice, dealtWave?: number): boolean {
    const { policy, utcMs } = this.#context;
    this.#matchedCount += 1;
    const reason = this.#exclusionOf(planned);
    if (reason !== undefined) {
      this.#exclude(reason, planned);
      return false;
    }
    this.#targetCount += 1;
    const chain = chainFrom(planned.device.version, policy) ?? [policy.image];
    for (const image of chain) this.#bytes += image.sizeBytes;
    if (dealtWave !== undefined) {
      this.#isDealt = true;
      this.#dealtCounts[dealtWave] = (this.#dealtCounts[dealtWave] ?? 0) + 1;
      return true;
    }
    const wave = queriedWave(policy.waves, planned.device, utcMs);
    if (wave !== undefined) this.#queriedCounts[wave] = (this.#queriedCounts[wave] ?? 0) + 1;
    return true;
  }

  /** A device that the query finds now and that was not dealt out with the others: it is left out, or came later. */
  addOutsider(planned: PlannedDevice): void {
    const reason = this.#exclusionOf(planned);
    if (reason === undefined) {
      this.#lateCount += 1;
      return;
    }
    this.#matchedCount += 1;
    this.#exclude(reason, planned);
  }

  /** Devices that the query finds, as far as they were added. */
  get matchedCount(): number {
    return this.#matchedCount;
  }

  /** The plan of what was added. @param isWholeFleet There is no device that the query does not find. */
  finish({ airtimeMs, warnings } = NO_AIRTIME, isWholeFleet = false): CampaignPlan {
    const { policy, spec, utcMs, updateMs = DEFAULT_UPDATE_MS } = this.#context;
    const sizes = this.#isDealt ? this.#dealtCounts : waveSizes(policy.waves, this.#queriedCounts, this.#targetCount);
    const bytesEach = this.#targetCount === 0 ? 0 : this.#bytes / this.#targetCount;
    const ends = estimateEnds({ policy, sizes, bytesEach, updateMs, offsetAt: this.#context.offsetAt }, utcMs);
    const waves = policy.waves.map(({ name }, i) => ({
      name,
      count: sizes[i] ?? 0,
      bytes: Math.round(bytesEach * (sizes[i] ?? 0)),
      expectedEndAt: instantText(ends[i]),
    }));
    return {
      matchedCount: this.#matchedCount,
      targetCount: this.#targetCount,
      waves,
      bytes: this.#bytes,
      airtimeMs,
      expectedEndAt: policy.isContinuous ? null : instantText(ends.at(-1)),
      exclusions: [...this.#exclusions.values()],
      warnings: [
        ...this.#generalWarnings(isWholeFleet),
        ...this.#emptyWaves(sizes),
        ...criteriaProblems(spec, sizes),
        ...this.#warnings,
        ...warnings,
      ],
    };
  }

  #exclusionOf(planned: PlannedDevice): ExclusionReason | undefined {
    const { device } = planned;
    const isShut = this.#hours.next("download", device).opening === undefined;
    const reason = exclusionOf(planned, this.#context.policy, isShut);
    if (reason === undefined && this.#hours.next("apply", device).opening === undefined)
      this.#warnings.add("the apply window never opens: devices will hold the image and wait");
    return reason;
  }

  #exclude(reason: ExclusionReason, { device }: PlannedDevice): void {
    const sentence = exclusionSentence(reason, device, this.#context.policy);
    const exclusion = this.#exclusions.get(reason) ?? { reason, sentence, endpoints: [], count: 0 };
    exclusion.count += 1;
    if (exclusion.endpoints.length < SAMPLE_COUNT) exclusion.endpoints.push(device.endpoint);
    this.#exclusions.set(reason, exclusion);
  }

  #generalWarnings(isWholeFleet: boolean): string[] {
    const { policy } = this.#context;
    const approval = this.#context.isApproved === true ? null : approvalOf(policy);
    const warnings = [...(approval === null ? [] : [`needs approval: ${approval}`]), ...stoneProblems(policy)];
    if (this.#matchedCount === 0) warnings.push("the query matches no device");
    else if (this.#targetCount === 0) warnings.push("every device that matches is left out");
    if (isWholeFleet && this.#matchedCount >= WHOLE_FLEET_COUNT)
      warnings.push(
        `the query matches every device that there is, all ${this.#matchedCount + this.#lateCount} of them`,
      );
    const isOne = this.#lateCount === 1;
    if (this.#lateCount > 0 && !policy.isContinuous)
      warnings.push(
        `${this.#lateCount} more device${isOne ? " matches" : "s match"} by now: only a change of the draft takes ${isOne ? "it" : "them"} in`,
      );
    return warnings;
  }

  /** A wave in front of others without any device proves nothing to them. */
  #emptyWaves(sizes: readonly number[]): string[] {
    if (this.#targetCount === 0) return [];
    return this.#context.policy.waves
      .slice(0, -1)
      .flatMap(({ name }, i) =>
        sizes[i] === 0 ? [`wave ${name} has no device: it passes at once and proves nothing`] : [],
      );
  }
}

function instantText(utcMs: number | null | undefined): string | null {
  return utcMs === null || utcMs === undefined ? null : new Date(utcMs).toISOString();
}
