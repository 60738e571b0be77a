/** A campaign's written spec, read once into what the rules work with. */
import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import { type Mistake, MOST_MISTAKES, mistakesText } from "@airlift/protocol/api/mistakes";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CriterionAction, CriterionOutcome } from "@airlift/protocol/update/campaign";
import type { DeliveryMethod, FailureKind } from "@airlift/protocol/update/device-update";
import { PolicyReader } from "./policy-reader.ts";
import type { Query } from "./query/ast.ts";
import type { OffsetAt } from "./schedule/wall-clock.ts";
import type { Schedule } from "./schedule/windows.ts";
import type { PolicyImage } from "./stepping-stones.ts";

/** A share in hundredths of a percent: 2.5 % = 250, everything = 10,000. */
export type BasisPoints = number;

export interface CriterionPolicy {
  readonly outcomes: readonly CriterionOutcome[];
  readonly threshold: { readonly count: number } | { readonly basisPoints: BasisPoints };
  readonly minimumExecuted: number;
  readonly windowMs: number | null;
  readonly action: CriterionAction;
}

export type ShareOfDevices =
  | { readonly kind: "percent"; readonly basisPoints: BasisPoints }
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "query"; readonly query: Query }
  | { readonly kind: "remaining" };

export interface WavePolicy {
  readonly name: string;
  readonly share: ShareOfDevices;
  readonly successBasisPoints: BasisPoints | null;
  readonly soakMs: number;
  readonly criteria: readonly CriterionPolicy[];
}

/** Starts in any 60 s. `factor` 1 is constant. */
export interface StartRatePolicy {
  readonly base: number;
  readonly factor: number;
  readonly max: number;
  readonly by: "started" | "succeeded";
  readonly per: number;
}

export interface CapsPolicy {
  readonly inFlight: number;
  readonly startRate: StartRatePolicy | null;
  readonly bytesPerSecond: number | null;
  readonly inFlightPerCell: number | null;
}

export interface RetryPolicy {
  readonly attemptCount: number;
  readonly backoffMs: number;
  readonly longestMs: number;
}

export interface CampaignPolicy {
  readonly name: string;
  readonly image: PolicyImage;
  readonly stones: readonly PolicyImage[];
  readonly query: Query;
  readonly isContinuous: boolean;
  readonly waves: readonly WavePolicy[];
  readonly criteria: readonly CriterionPolicy[];
  readonly caps: CapsPolicy;
  readonly download: Schedule;
  readonly apply: Schedule;
  readonly timeZone: string;
  readonly by: DeliveryMethod;
  /** A delta may be sent in place of an image; absent in a policy of an older program = no. */
  readonly delta?: boolean;
  readonly retry: Readonly<Partial<Record<FailureKind, RetryPolicy>>>;
  readonly silentAfterMs: number;
  readonly penalty: { readonly failureCount: number; readonly durationMs: number };
  readonly priority: number;
  /** Lower versions, and ones that the device left before, may be installed. */
  readonly allowsDowngrade: boolean;
  readonly needsApproval: boolean;
  /** Why, as `approvalReason`; absent in a policy of an older program: `approvalOf` tells. */
  readonly approval?: string | null;
  readonly hasRollback: boolean;
}

/** What the image store knows of an image that a spec names; undefined = there is none. */
export type FindImage = (imageId: string) => Omit<PolicyImage, "from"> | undefined;

/** Where a spec's names are looked up. */
export interface PolicySources {
  readonly findImage: FindImage;
  readonly offsetAt: OffsetAt;
}

/** What is wrong with a spec that has the right shape, apart from what is wrong at the places `unread`. */
export function policyMistakes(
  spec: CampaignSpec,
  { findImage, offsetAt }: PolicySources,
  unread: readonly string[],
): Mistake[] {
  const reader = new PolicyReader(spec, { findImage, offsetAt });
  reader.read();
  // What is said of a group is said of its members.
  const isUnread = (path: string) =>
    unread.some((place) => `${path}.`.startsWith(`${place}.`) || place.startsWith(`${path}.`));
  return reader.mistakes.filter(
    ({ path, code }) => !isUnread(path) && (code !== "NO_ROLLBACK" || !isUnread("rollback")),
  );
}

/** A spec that cannot be carried out. */
export const specRefused = (mistakes: readonly Mistake[]): UsageError =>
  new UsageError("CAMPAIGN_SPEC", mistakesText(mistakes.slice(0, MOST_MISTAKES)), {
    problems: mistakes.slice(0, MOST_MISTAKES),
  });

/**
 * Reads a spec.
 *
 * @throws {UsageError} `CAMPAIGN_SPEC` with every mistake in `facts.problems`.
 */
export function compilePolicy(spec: CampaignSpec, findImage: FindImage, offsetAt: OffsetAt): CampaignPolicy {
  const reader = new PolicyReader(spec, { findImage, offsetAt });
  const policy = reader.read();
  if (reader.mistakes.length > 0) throw specRefused(reader.mistakes);
  return policy;
}

/** The campaign that takes back what a campaign did, for the devices that it updated: same caps' shape, one wave, no windows. */
export function rollbackSpec(spec: CampaignSpec): CampaignSpec | undefined {
  if (spec.rollback === undefined) return undefined;
  const { rollback: wanted, ...rest } = spec;
  return {
    ...rest,
    name: `${spec.name.slice(0, 88)} (rollback)`,
    image: wanted.image,
    waves: [{ name: "all", devices: "remaining", soak: "0s", criteria: [] }],
    criteria: [],
    caps: { inFlight: wanted.inFlight, startsPerMinute: wanted.startsPerMinute },
    windows: { download: [], apply: [], blackout: [] },
    from: [],
    steppingStones: [],
    priority: Math.min(100, spec.priority + 1),
    downgrade: true,
    targets: { ...spec.targets, continuous: false },
  };
}
