/** A campaign as it is written in YAML and sent to the API, and as the API shows it. */
import { z } from "zod";
import {
  CAMPAIGN_STATES,
  CRITERION_ACTIONS,
  CRITERION_OUTCOMES,
  EXCLUSION_REASONS,
  WAVE_STATES,
} from "../update/campaign.ts";
import { DELIVERY_METHODS, FAILURE_KINDS, UPDATE_STATES } from "../update/device-update.ts";
import { BroadcastSection } from "./mesh.ts";
import { DevicePreview } from "./schemas.ts";

/** "90s", "30m", "2h", "7d": a whole number and its unit; read by `durationMs`. */
export const Duration = z
  .string()
  .regex(/^\d{1,6}(s|m|h|d)$/, 'a duration is a whole number and its unit: "90s", "30m", "2h", "7d"');

/** Milliseconds of a `Duration`. */
export function durationMs(duration: string): number {
  const unit = duration.at(-1);
  const unitMs = unit === "d" ? 86_400_000 : unit === "h" ? 3_600_000 : unit === "m" ? 60_000 : 1000;
  return Number(duration.slice(0, -1)) * unitMs;
}

/** 0 … 100 with at most two decimals. */
const Percent = z
  .number()
  .min(0)
  .max(100)
  .refine((value) => Math.abs(value * 100 - Math.round(value * 100)) < 1e-6, "a percentage has at most two decimals");

const imageId = z
  .string()
  .regex(/^[0-9a-f]{16}$/, "an image's id has 16 hexadecimal digits, as `airlift image list` shows it");
const query = z.string().min(1).max(4096);
const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, "a day is written 2026-12-24");
const name = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}]*$/u, "has control characters");

/** What stops a wave, or the campaign, by itself: so many of the devices that ended came to such an end. */
export const Criterion = z.strictObject({
  outcomes: z.array(z.enum(CRITERION_OUTCOMES)).min(1),
  threshold: z.union(
    [z.strictObject({ count: z.int().min(1) }), z.strictObject({ percent: Percent })],
    "write { count: 5 } or { percent: 2.5 }",
  ),
  /** Not judged before so many devices ended. */
  minimumExecuted: z.int().min(0).default(0),
  /** Only ends within this time count; absent = all of them. */
  window: Duration.optional(),
  do: z.enum(CRITERION_ACTIONS),
});
export type Criterion = z.infer<typeof Criterion>;

/** Which devices are in a wave: a share of all targets, a number, those that match a query, or whoever is left. */
export const WaveShare = z.union(
  [
    z.strictObject({ percent: Percent }),
    z.strictObject({ count: z.int().min(1) }),
    z.strictObject({ query }),
    z.literal("remaining"),
  ],
  "write remaining, { percent: 10 }, { count: 50 } or { query: tags==canary }",
);
export type WaveShare = z.infer<typeof WaveShare>;

export const WaveSpec = z.strictObject({
  name,
  devices: WaveShare,
  /** Of the wave's devices that can be updated; absent = the wave has only to end. */
  successPercent: Percent.optional(),
  /** How long a wave that succeeded is watched before the next one starts. */
  soak: Duration.default("0s"),
  criteria: z.array(Criterion).max(20).default([]),
});
export type WaveSpec = z.infer<typeof WaveSpec>;

/** Starts in any 60 s: a number, or one that grows by `factor` each time `per` so many more started or succeeded. */
export const StartRate = z.union(
  [
    z.int().min(1).max(100_000),
    z.strictObject({
      base: z.int().min(1).max(100_000),
      factor: z.number().min(1).max(10),
      max: z.int().min(1).max(100_000),
      per: z.union(
        [z.strictObject({ started: z.int().min(1) }), z.strictObject({ succeeded: z.int().min(1) })],
        "write { started: 50 } or { succeeded: 50 }",
      ),
    }),
  ],
  "write a number, or { base: 10, factor: 2, max: 1000, per: { succeeded: 50 } }",
);

export const CapsSpec = z.strictObject({
  /** Devices that are being worked on at once. */
  inFlight: z.int().min(1).max(100_000).default(1000),
  startsPerMinute: StartRate.optional(),
  /** Of images handed out, on average. */
  bytesPerSecond: z.int().min(1).optional(),
  /** Devices worked on at once in one radio cell (/4/0/8). */
  inFlightPerCell: z.int().min(1).optional(),
});

/** Opens at each time of `cron` (minute hour day-of-month month day-of-week) and stays open for so long. */
export const WindowSpec = z.strictObject({ cron: z.string().min(9).max(200), for: Duration });

/** Days on which nothing is begun, both included. */
export const BlackoutSpec = z.strictObject({ from: day, to: day });

/** In the device's own time zone (/3/0/15, else /3/0/14), else in the campaign's. An empty list is always open. */
export const WindowsSpec = z.strictObject({
  download: z.array(WindowSpec).max(20).default([]),
  apply: z.array(WindowSpec).max(20).default([]),
  blackout: z.array(BlackoutSpec).max(100).default([]),
});

/** Attempts in all, the first included, and the pause before the second, which doubles up to `longest`. */
export const RetrySpec = z.strictObject({
  attempts: z.int().min(1).max(100),
  backoff: Duration.default("10m"),
  longest: Duration.default("1d"),
});

/** Versions from which an image can be installed; an absent bound is open. */
export const VersionRange = z.strictObject({ atLeast: name.optional(), below: name.optional() });

/** An image on the way to the campaign's, for devices that cannot take that one directly. */
export const SteppingStone = z.strictObject({ image: imageId, from: z.array(VersionRange).max(20).default([]) });

export const PenaltySpec = z.strictObject({ failures: z.int().min(1), for: Duration });

/** The campaign that undoes another one. */
export const RollbackSpec = z.strictObject({
  image: imageId,
  inFlight: z.int().min(1).max(100_000).default(1000),
  startsPerMinute: StartRate.optional(),
});

/** What keeps the waves from having every device, and each one once; undefined = nothing. */
export const sharesProblem = (waves: readonly { readonly devices: WaveShare }[]): string | undefined => {
  const rest = waves.findIndex(({ devices }) => devices === "remaining");
  if (rest >= 0) return rest === waves.length - 1 ? undefined : "only the last wave can have the remaining devices";
  const percent = waves.reduce(
    (sum, { devices }) => sum + (typeof devices === "object" && "percent" in devices ? devices.percent : 0),
    0,
  );
  if (percent > 100.001) return `the waves have ${percent} % of the devices together`;
  return percent > 99.999 ? undefined : "some devices are in no wave: let the last one have the remaining devices";
};

/** The file of `airlift campaign create`, and the body of `POST /api/v1/campaigns`. Unknown members are refused. */
export const CampaignSpec = z.strictObject({
  name,
  image: imageId,
  targets: z.strictObject({
    /** RSQL: `model==pump;version=lt=2.0.0`. */
    query,
    /** Devices that come to match later join. */
    continuous: z.boolean().default(false),
  }),
  waves: z
    .array(WaveSpec)
    .min(1)
    .max(100)
    .superRefine((waves, context) => {
      const problem = sharesProblem(waves);
      if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    })
    .default(() => [{ name: "all", devices: "remaining" as const, soak: "0s", criteria: [] }]),
  criteria: z.array(Criterion).max(20).default([]),
  caps: CapsSpec.prefault({}),
  windows: WindowsSpec.prefault({}),
  /** IANA name, for devices that report none. */
  timeZone: z.string().min(1).max(64).default("UTC"),
  by: z.enum(DELIVERY_METHODS).default("auto"),
  /** True = a delta may be sent in place of an image, to devices that run its base. */
  delta: z.boolean().default(false),
  /** By kind of failure; a kind that is not named is final at once. */
  retry: z.partialRecord(z.enum(FAILURE_KINDS), RetrySpec).default(() => ({
    connectionLost: { attempts: 3, backoff: "10m", longest: "1d" },
    timedOut: { attempts: 3, backoff: "10m", longest: "1d" },
    noMemory: { attempts: 2, backoff: "1h", longest: "1d" },
    deferredTooLong: { attempts: 3, backoff: "1h", longest: "1d" },
  })),
  /** A device that is not heard for so long after its wave started is given up as silent. */
  silentAfter: Duration.default("7d"),
  /** A device that failed so often in a row, in any campaign, is left alone for so long after the last time. */
  penaltyBox: PenaltySpec.prefault({ failures: 3, for: "7d" }),
  /** Versions from which the campaign's image can be installed; empty = any. */
  from: z.array(VersionRange).max(20).default([]),
  steppingStones: z.array(SteppingStone).max(20).default([]),
  /** Of two campaigns that want one device, the higher goes first. */
  priority: z.int().min(-100).max(100).default(0),
  /** Installing a lower version, or one that the device left before. Needs approval. */
  downgrade: z.boolean().default(false),
  /** `required`: somebody else than the creator must approve. */
  approval: z.enum(["required", "none"]).default("none"),
  /** Prepared with the campaign; started by a criterion or by hand, for the devices that the campaign has updated. */
  rollback: RollbackSpec.optional(),
});
export type CampaignSpec = z.infer<typeof CampaignSpec>;
export type NewCampaign = z.input<typeof CampaignSpec>;

const count = z.int().nonnegative();

/** Devices by where they stand; `failed` by kind. `active` are worked on, `held` have the image and wait for the word. */
export const WaveCounts = z.object({
  total: count,
  pending: count,
  active: count,
  held: count,
  succeeded: count,
  failed: z.partialRecord(z.enum(FAILURE_KINDS), count),
  silent: count,
  fellBack: count,
  cancelled: count,
  skipped: count,
});
export type WaveCounts = z.infer<typeof WaveCounts>;

const instant = z.iso.datetime({ precision: 3 });

/** A criterion with where it stands: `matched` of `executed` devices that ended since it was last forgiven, or in its window. */
export const CriterionStanding = z.object({
  criterion: Criterion,
  matched: count,
  executed: count,
  /** "2 of 40 devices that ended failed; the limit is 2.5 %". */
  sentence: z.string(),
});
export type CriterionStanding = z.infer<typeof CriterionStanding>;

export const Wave = z.object({
  name,
  state: z.enum(WAVE_STATES),
  sentence: z.string(),
  counts: WaveCounts,
  /** Octets that its devices have acknowledged, in all their attempts, as of the last report of each: a delta's own where one was sent. */
  deliveredBytes: count,
  criteria: z.array(CriterionStanding),
  startedAt: instant.nullable(),
  soakUntil: instant.nullable(),
});
export type Wave = z.infer<typeof Wave>;

/** A campaign as a list shows it. */
export const CampaignSummary = z.object({
  id: z.string(),
  name,
  imageId: z.string(),
  state: z.enum(CAMPAIGN_STATES),
  sentence: z.string(),
  counts: WaveCounts,
  createdBy: z.string(),
  /** Everybody who has changed it as a draft, who did so last at the end. Neither they nor who created it may approve it. */
  changedBy: z.array(z.string()),
  approvedBy: z.string().nullable(),
  /** Whether somebody has to approve it before it can start. */
  needsApproval: z.boolean(),
  /** Why, in words: "prepares a rollback to 1.1.0, a downgrade"; null when nobody has to. */
  approvalReason: z.string().nullable(),
  /** The campaign that is prepared to undo this one. */
  rollbackId: z.string().nullable(),
  /** The campaign that this one is prepared to undo. */
  rollbackOf: z.string().nullable(),
  createdAt: instant,
  updatedAt: instant,
});
export type CampaignSummary = z.infer<typeof CampaignSummary>;

export const Campaign = CampaignSummary.extend({
  /** Changes with everything that is kept of it; its ETag without the quotes, to be sent along as If-Match. */
  revision: z.string(),
  spec: CampaignSpec,
  waves: z.array(Wave),
  /** Those of the campaign as a whole; each wave has its own. */
  criteria: z.array(CriterionStanding),
  /** Of the devices behind radio gateways, when the campaign is asked for; absent = none of them has begun. */
  broadcast: BroadcastSection.optional(),
});
export type Campaign = z.infer<typeof Campaign>;

/** The body of `PATCH /api/v1/campaigns/{id}`: members that are there replace those of the draft, whole; null takes one away. */
export const CampaignEdit = z.record(z.string().max(64), z.unknown());
export type CampaignEdit = z.infer<typeof CampaignEdit>;

/** The body of `POST /api/v1/campaigns/preview`. */
export const CampaignPreview = z.strictObject({ query });
export type CampaignPreview = z.infer<typeof CampaignPreview>;

/** Whom a campaign's query finds. */
export const TargetPreview = DevicePreview.extend({
  /** There are ten devices or more, and the query finds all of them. */
  isWholeFleet: z.boolean(),
});
export type TargetPreview = z.infer<typeof TargetPreview>;

/**
 * The body of `POST /api/v1/campaigns/{id}/retry`; without an endpoint it is every device that ended badly, from `cursor` on. Who walks to
 * the end by `next` tries each device once, also one that fails again meanwhile.
 */
export const CampaignRetry = z.strictObject({
  endpoint: z.string().min(1).max(255).optional(),
  cursor: z.string().max(1024).optional(),
});
export type CampaignRetry = z.infer<typeof CampaignRetry>;

/** How many devices are tried again; `next`: the cursor to ask with for the others, null = that was all. */
export const RetriedCount = z.object({ count, next: z.string().nullable() });
export type RetriedCount = z.infer<typeof RetriedCount>;

/** One device in a campaign. */
export const CampaignTarget = z.object({
  campaignId: z.string(),
  endpoint: z.string(),
  wave: count,
  state: z.enum(UPDATE_STATES),
  failure: z.enum(FAILURE_KINDS).nullable(),
  attempt: count,
  /** The update of its newest attempt; null before the first. */
  updateId: z.string().nullable(),
  /** Why it stands where it stands, true at the moment of the answer. */
  sentence: z.string(),
});
export type CampaignTarget = z.infer<typeof CampaignTarget>;

/** A device in a campaign that is running or paused, with what the campaign is called. */
export const DeviceCampaign = CampaignTarget.extend({
  campaignName: name,
  campaignState: z.enum(CAMPAIGN_STATES),
  waveName: name,
});
export type DeviceCampaign = z.infer<typeof DeviceCampaign>;

/** What `airlift campaign plan` shows. Nothing is changed by it. */
export const CampaignPlan = z.object({
  matchedCount: count,
  targetCount: count,
  waves: z.array(
    z.object({
      name,
      count,
      bytes: count,
      /** When its last device is expected to end, and its soak time. */
      expectedEndAt: instant.nullable(),
    }),
  ),
  bytes: count,
  /** On the air, for devices behind gateways; null when there are none. */
  airtimeMs: z.number().nonnegative().nullable(),
  expectedEndAt: instant.nullable(),
  exclusions: z.array(
    z.object({ reason: z.enum(EXCLUSION_REASONS), count, sentence: z.string(), endpoints: z.array(z.string()) }),
  ),
  /** What will keep the campaign from ending as written, in plain sentences. */
  warnings: z.array(z.string()),
});
export type CampaignPlan = z.infer<typeof CampaignPlan>;
