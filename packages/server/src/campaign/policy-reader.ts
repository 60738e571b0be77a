/** Reads a campaign's written spec, and gathers all that is wrong with it on the way. */
import { type CampaignSpec, type Criterion, durationMs, type WaveSpec } from "@airlift/protocol/api/campaign";
import type { Mistake } from "@airlift/protocol/api/mistakes";
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { FailureKind } from "@airlift/protocol/update/device-update";
import { approvalReason } from "./approval.ts";
import { contradictionsOf } from "./contradictions.ts";
import type {
  BasisPoints,
  CampaignPolicy,
  CapsPolicy,
  CriterionPolicy,
  PolicySources,
  RetryPolicy,
  ShareOfDevices,
  StartRatePolicy,
  WavePolicy,
} from "./policy.ts";
import type { Query } from "./query/ast.ts";
import { parseQuery } from "./query/parse-query.ts";
import { type Cron, parseCron } from "./schedule/cron.ts";
import { namedZone } from "./schedule/wall-clock.ts";
import type { Schedule, Window } from "./schedule/windows.ts";
import type { PolicyImage } from "./stepping-stones.ts";

/** Stand in for what cannot be read, in a policy that nobody gets. */
const NO_IMAGE = { id: "", manufacturer: "", model: "", version: "", hardware: [], sizeBytes: 0 };
const versionOf = (image: Omit<PolicyImage, "from">): string | null => (image === NO_IMAGE ? null : image.version);
const EVERY_DEVICE: Query = { kind: "and", terms: [] };
const ALWAYS: Cron = parseCron("* * * * *");

export class PolicyReader {
  /** In the order in which they were found; the policy is of use only when there are none. */
  readonly mistakes: Mistake[] = [];
  readonly #spec: CampaignSpec;
  readonly #sources: PolicySources;

  constructor(spec: CampaignSpec, sources: PolicySources) {
    this.#spec = spec;
    this.#sources = sources;
  }

  read(): CampaignPolicy {
    const spec = this.#spec;
    const image = this.#image(spec.image, "image");
    const back = spec.rollback && this.#rollback(image, spec.rollback.image);
    const approval = approvalReason({
      isRequired: spec.approval === "required",
      allowsDowngrade: spec.downgrade,
      version: versionOf(image),
      rollbackVersion: back ? versionOf(back) : null,
    });
    if (namedZone(spec.timeZone, this.#sources.offsetAt) === undefined)
      this.#note("timeZone", "UNKNOWN_ZONE", `there is no time zone ${spec.timeZone}`);
    this.mistakes.push(...contradictionsOf(spec));
    return {
      name: spec.name,
      image: { ...image, from: spec.from },
      stones: spec.steppingStones.map((stone, i) => ({
        ...this.#image(stone.image, `steppingStones.${i}.image`),
        from: stone.from,
      })),
      query: this.#query(spec.targets.query, "targets.query"),
      isContinuous: spec.targets.continuous,
      waves: spec.waves.map((wave, i) => this.#wave(wave, `waves.${i}`)),
      criteria: spec.criteria.map((criterion, i) => this.#criterion(criterion, `criteria.${i}`)),
      caps: readCaps(spec.caps),
      ...this.#schedules(),
      timeZone: spec.timeZone,
      by: spec.by,
      delta: spec.delta,
      retry: readRetry(spec.retry),
      silentAfterMs: durationMs(spec.silentAfter),
      penalty: { failureCount: spec.penaltyBox.failures, durationMs: durationMs(spec.penaltyBox.for) },
      priority: spec.priority,
      allowsDowngrade: spec.downgrade,
      needsApproval: approval !== null,
      approval,
      hasRollback: spec.rollback !== undefined,
    };
  }

  #note(path: string, code: string, message: string): void {
    this.mistakes.push({ path, code, message });
  }

  /** What `read` throws is noted with its place. */
  #at<T>(path: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      this.#note(path, error.code, error.message);
      return undefined;
    }
  }

  #image(imageId: string, path: string): Omit<PolicyImage, "from"> {
    const image = this.#sources.findImage(imageId);
    if (image === undefined) this.#note(path, "UNKNOWN_IMAGE", `there is no image ${imageId}`);
    return image ?? NO_IMAGE;
  }

  /** What undoes nothing is worse than nothing: it would be trusted. */
  #rollback(image: Omit<PolicyImage, "from">, rollbackId: string): Omit<PolicyImage, "from"> {
    const path = "rollback.image";
    const back = this.#image(rollbackId, path);
    if (image === NO_IMAGE || back === NO_IMAGE) return back;
    const names = `${back.manufacturer} ${back.model}, the campaign's for ${image.manufacturer} ${image.model}`;
    if (image.id === back.id) this.#note(path, "ROLLBACK_IMAGE", "the rollback has the campaign's own image");
    else if (image.manufacturer !== back.manufacturer || image.model !== back.model)
      this.#note(path, "ROLLBACK_IMAGE", `the rollback's image is for ${names}`);
    return back;
  }

  #query(text: string, path: string): Query {
    return this.#at(path, () => parseQuery(text)) ?? EVERY_DEVICE;
  }

  #wave(wave: WaveSpec, path: string): WavePolicy {
    return {
      name: wave.name,
      share: this.#share(wave.devices, `${path}.devices`),
      successBasisPoints: wave.successPercent === undefined ? null : basisPointsOf(wave.successPercent),
      soakMs: durationMs(wave.soak),
      criteria: wave.criteria.map((criterion, i) => this.#criterion(criterion, `${path}.criteria.${i}`)),
    };
  }

  #share(devices: WaveSpec["devices"], path: string): ShareOfDevices {
    if (devices === "remaining") return { kind: "remaining" };
    if ("percent" in devices) return { kind: "percent", basisPoints: basisPointsOf(devices.percent) };
    if ("count" in devices) return { kind: "count", count: devices.count };
    return { kind: "query", query: this.#query(devices.query, `${path}.query`) };
  }

  #criterion(criterion: Criterion, path: string): CriterionPolicy {
    const { threshold } = criterion;
    if (criterion.do === "startRollback" && this.#spec.rollback === undefined)
      this.#note(`${path}.do`, "NO_ROLLBACK", "startRollback needs a rollback in the campaign");
    if ("percent" in threshold && threshold.percent === 0)
      this.#note(
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

  #schedules(): Pick<CampaignPolicy, "download" | "apply"> {
    return { download: this.#schedule("download"), apply: this.#schedule("apply") };
  }

  #schedule(step: "download" | "apply"): Schedule {
    const { windows } = this.#spec;
    return {
      windows: windows[step].map(({ cron, for: duration }, i): Window => {
        const path = `windows.${step}.${i}`;
        if (durationMs(duration) === 0) this.#note(`${path}.for`, "WINDOW", "a window of no length never opens");
        return {
          cron: this.#at(`${path}.cron`, () => parseCron(cron)) ?? ALWAYS,
          durationMs: durationMs(duration),
        };
      }),
      blackouts: windows.blackout,
    };
  }
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
