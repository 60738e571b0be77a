/** A campaign's written spec, read once into what the rules work with. */
import { type CampaignSpec, type Criterion, durationMs, type WaveSpec } from "@airlift/protocol/api/campaign";
import { AirliftError, UsageError } from "@airlift/protocol/lib/errors";
import type { CriterionAction, CriterionOutcome } from "@airlift/protocol/update/campaign";
import type { DeliveryMethod, FailureKind } from "@airlift/protocol/update/device-update";
import type { Query } from "./query/ast.ts";
import { parseQuery } from "./query/parse-query.ts";
import { parseCron } from "./schedule/cron.ts";
import { namedZone, type OffsetAt } from "./schedule/wall-clock.ts";
import type { Schedule, Window } from "./schedule/windows.ts";
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
  readonly hasRollback: boolean;
}

/** What the image store knows of an image that a spec names; undefined = there is none. */
export type FindImage = (imageId: string) => Omit<PolicyImage, "from"> | undefined;

/**
 * Reads a spec. Every mistake names its place in the file.
 *
 * @throws {UsageError} `CAMPAIGN_SPEC` with `facts.path`, "waves.0.devices.query", and the code of what is wrong there.
 */
export function compilePolicy(spec: CampaignSpec, findImage: FindImage, offsetAt: OffsetAt): CampaignPolicy {
  const imageOf = (imageId: string, path: string): Omit<PolicyImage, "from"> => {
    const image = findImage(imageId);
    if (image === undefined) throw refused(path, "UNKNOWN_IMAGE", `there is no image ${imageId}`);
    return image;
  };
  if (namedZone(spec.timeZone, offsetAt) === undefined)
    throw refused("timeZone", "UNKNOWN_ZONE", `there is no time zone ${spec.timeZone}`);
  if (spec.rollback !== undefined) imageOf(spec.rollback.image, "rollback.image");
  const stones = spec.steppingStones.map(({ image, from }, i) => ({
    ...imageOf(image, `steppingStones.${i}.image`),
    from,
  }));
  return {
    name: spec.name,
    image: { ...imageOf(spec.image, "image"), from: spec.from },
    stones,
    query: at("targets.query", () => parseQuery(spec.targets.query)),
    isContinuous: spec.targets.continuous,
    waves: spec.waves.map(readWave),
    criteria: spec.criteria.map((criterion, i) => readCriterion(criterion, { spec, path: `criteria.${i}` })),
    caps: readCaps(spec.caps),
    download: readSchedule(spec, "download"),
    apply: readSchedule(spec, "apply"),
    timeZone: spec.timeZone,
    by: spec.by,
    delta: spec.delta,
    retry: readRetry(spec.retry),
    silentAfterMs: durationMs(spec.silentAfter),
    penalty: { failureCount: spec.penaltyBox.failures, durationMs: durationMs(spec.penaltyBox.for) },
    priority: spec.priority,
    allowsDowngrade: spec.downgrade,
    needsApproval: spec.approval === "required" || spec.downgrade,
    hasRollback: spec.rollback !== undefined,
  };

  function readWave(wave: WaveSpec, i: number): WavePolicy {
    return {
      name: wave.name,
      share: readShare(wave.devices, `waves.${i}.devices`),
      successBasisPoints: wave.successPercent === undefined ? null : basisPointsOf(wave.successPercent),
      soakMs: durationMs(wave.soak),
      criteria: wave.criteria.map((one, j) => readCriterion(one, { spec, path: `waves.${i}.criteria.${j}` })),
    };
  }
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

function readShare(devices: WaveSpec["devices"], path: string): ShareOfDevices {
  if (devices === "remaining") return { kind: "remaining" };
  if ("percent" in devices) return { kind: "percent", basisPoints: basisPointsOf(devices.percent) };
  if ("count" in devices) return { kind: "count", count: devices.count };
  return { kind: "query", query: at(`${path}.query`, () => parseQuery(devices.query)) };
}

function readCriterion(criterion: Criterion, { spec, path }: { spec: CampaignSpec; path: string }): CriterionPolicy {
  const { threshold } = criterion;
  if (criterion.do === "startRollback" && spec.rollback === undefined)
    throw refused(`${path}.do`, "NO_ROLLBACK", "startRollback needs a rollback in the campaign");
  if ("percent" in threshold && threshold.percent === 0)
    throw refused(
      `${path}.threshold`,
      "THRESHOLD",
      "0 % is met by every campaign; write { count: 1 } for the first one",
    );
  return {
    outcomes: criterion.outcomes,
    threshold: "count" in threshold ? threshold : { basisPoints: basisPointsOf(threshold.percent) },
    minimumExecuted: criterion.minimumExecuted,
    windowMs: criterion.window === undefined ? null : durationMs(criterion.window),
    action: criterion.do,
  };
}

function readCaps(caps: CampaignSpec["caps"]): CapsPolicy {
  const rate = caps.startsPerMinute;
  return {
    inFlight: caps.inFlight,
    startRate: rate === undefined ? null : readRate(rate),
    bytesPerSecond: caps.bytesPerSecond ?? null,
    inFlightPerCell: caps.inFlightPerCell ?? null,
  };
}

function readRate(rate: NonNullable<CampaignSpec["caps"]["startsPerMinute"]>): StartRatePolicy {
  if (typeof rate === "number") return { base: rate, factor: 1, max: rate, by: "started", per: 1 };
  const { base, factor, max, per } = rate;
  if ("started" in per) return { base, factor, max, by: "started", per: per.started };
  return { base, factor, max, by: "succeeded", per: per.succeeded };
}

function readSchedule({ windows }: CampaignSpec, step: "download" | "apply"): Schedule {
  windows.blackout.forEach(({ from, to }, i) => {
    if (Number.isNaN(Date.parse(from)) || Number.isNaN(Date.parse(to)) || from > to)
      throw refused(`windows.blackout.${i}`, "BLACKOUT", "a blackout's days are real ones, the first before the last");
  });
  return {
    windows: windows[step].map(({ cron, for: duration }, i): Window => {
      const path = `windows.${step}.${i}`;
      if (durationMs(duration) === 0) throw refused(`${path}.for`, "WINDOW", "a window of no length never opens");
      return { cron: at(`${path}.cron`, () => parseCron(cron)), durationMs: durationMs(duration) };
    }),
    blackouts: windows.blackout,
  };
}

function readRetry(retry: CampaignSpec["retry"]): CampaignPolicy["retry"] {
  const read: Partial<Record<FailureKind, RetryPolicy>> = {};
  for (const [kind, one] of Object.entries(retry))
    if (one !== undefined)
      read[kind as FailureKind] = {
        attemptCount: one.attempts,
        backoffMs: durationMs(one.backoff),
        longestMs: durationMs(one.longest),
      };
  return read;
}

const basisPointsOf = (percent: number): BasisPoints => Math.round(percent * 100);

/** What `read` throws is told with its place. */
function at<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof AirliftError) throw refused(path, error.code, error.message);
    throw error;
  }
}

const refused = (path: string, why: string, sentence: string): UsageError =>
  new UsageError("CAMPAIGN_SPEC", `${path}: ${sentence}`, { path, why });
