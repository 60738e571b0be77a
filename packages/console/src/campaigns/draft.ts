/** What the wizard's fields hold, and the campaign that they make. What only a file can write is carried along. */
import type { CampaignSpec, Criterion, NewCampaign } from "@airlift/protocol/api/campaign";

export interface WaveDraft {
  /** Kept while waves are moved about. */
  readonly key: string;
  readonly name: string;
  readonly share: "percent" | "count" | "query" | "remaining";
  /** A number, or RSQL, as it was typed. */
  readonly size: string;
  readonly successPercent: string;
  readonly soak: string;
  /** Its own, as a file has written them. */
  readonly criteria?: readonly Criterion[];
}

export interface CriterionDraft {
  readonly key: string;
  readonly outcomes: readonly Criterion["outcomes"][number][];
  readonly unit: "percent" | "count";
  readonly limit: string;
  readonly minimumExecuted: string;
  /** As a file has written it. */
  readonly window?: string;
  readonly action: Criterion["do"];
}

export interface CampaignDraft {
  readonly name: string;
  readonly image: string;
  readonly query: string;
  readonly isContinuous: boolean;
  readonly waves: readonly WaveDraft[];
  readonly criteria: readonly CriterionDraft[];
  readonly inFlight: string;
  readonly startsPerMinute: string;
  readonly downloadCron: string;
  readonly downloadFor: string;
  readonly applyCron: string;
  readonly applyFor: string;
  readonly timeZone: string;
  readonly needsApproval: boolean;
  readonly mayDowngrade: boolean;
  readonly mayBeDelta: boolean;
  readonly rollbackImage: string;
  /** Members that nobody has written themselves: they follow the size of the fleet. */
  readonly proposed?: readonly ("waves" | "criteria")[];
  /** Of members that have fields here, the parts that have none. */
  readonly carried?: {
    readonly caps?: Omit<CampaignSpec["caps"], "inFlight">;
    readonly windows?: CampaignSpec["windows"];
    readonly rollback?: CampaignSpec["rollback"];
  };
}

/** Unlike any that a kept draft has. */
const newKey = (): string => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;

export const newWave = (wave: Partial<WaveDraft> = {}): WaveDraft => ({
  key: newKey(),
  name: "next",
  share: "percent",
  size: "10",
  successPercent: "95",
  soak: "1h",
  ...wave,
});

export const newCriterion = (criterion: Partial<CriterionDraft> = {}): CriterionDraft => ({
  key: newKey(),
  outcomes: ["failed", "fellBack"],
  unit: "percent",
  limit: "5",
  minimumExecuted: "20",
  action: "pauseCampaign",
  ...criterion,
});

/** What the server checks; a field that holds no number is sent as it is, and refused there in words. */
export function specOf(draft: CampaignDraft): NewCampaign {
  const { name, image, query, isContinuous, waves, criteria } = draft;
  return {
    name,
    image,
    targets: { query, continuous: isContinuous },
    waves: waves.map(({ name: wave, successPercent, soak, criteria: own = [], ...share }) => ({
      name: wave,
      devices: shareOf(share),
      ...(successPercent.trim() !== "" && { successPercent: Number(successPercent) }),
      soak: soak.trim() === "" ? "0s" : soak.trim(),
      ...(own.length > 0 && { criteria: [...own] }),
    })),
    criteria: criteria.map(({ outcomes, unit, limit, minimumExecuted, window, action }) => ({
      outcomes: [...outcomes],
      threshold: unit === "count" ? { count: Number(limit) } : { percent: Number(limit) },
      minimumExecuted: Number(minimumExecuted || 0),
      ...(window !== undefined && { window }),
      do: action,
    })),
    ...limitsOf(draft),
    timeZone: draft.timeZone,
    approval: draft.needsApproval ? "required" : "none",
    downgrade: draft.mayDowngrade,
    delta: draft.mayBeDelta,
    ...(draft.rollbackImage !== "" && { rollback: { ...draft.carried?.rollback, image: draft.rollbackImage } }),
  };
}

function shareOf({
  share,
  size,
}: Pick<WaveDraft, "share" | "size">): NonNullable<NewCampaign["waves"]>[number]["devices"] {
  if (share === "remaining") return "remaining";
  if (share === "query") return { query: size };
  return share === "count" ? { count: Number(size) } : { percent: Number(size) };
}

function limitsOf(draft: CampaignDraft): Required<Pick<NewCampaign, "caps" | "windows">> {
  const { inFlight, startsPerMinute, downloadCron, downloadFor, applyCron, applyFor, carried } = draft;
  const windowOf = (cron: string, span: string) =>
    cron.trim() === "" ? [] : [{ cron: cron.trim(), for: span.trim() }];
  return {
    caps: {
      ...carried?.caps,
      ...(inFlight.trim() !== "" && { inFlight: Number(inFlight) }),
      ...(startsPerMinute.trim() !== "" && { startsPerMinute: Number(startsPerMinute) }),
    },
    windows: {
      ...carried?.windows,
      download: [...windowOf(downloadCron, downloadFor), ...(carried?.windows?.download ?? [])],
      apply: [...windowOf(applyCron, applyFor), ...(carried?.windows?.apply ?? [])],
    },
  };
}
