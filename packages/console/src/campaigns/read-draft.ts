/** A campaign's spec in the wizard's fields. */
import type { CampaignSpec, Criterion, WaveSpec } from "@airlift/protocol/api/campaign";
import { type CampaignDraft, type CriterionDraft, newCriterion, newWave, type WaveDraft } from "./draft.ts";

/** What the fields cannot show is carried: written back, it is the same campaign. */
export function draftOf(spec: CampaignSpec): CampaignDraft {
  const { caps, windows, rollback } = spec;
  const { inFlight, startsPerMinute, ...otherCaps } = caps;
  const [download, ...otherDownloads] = windows.download;
  const [apply, ...otherApplies] = windows.apply;
  const hasPlainRate = typeof startsPerMinute === "number";
  return {
    name: spec.name,
    image: spec.image,
    query: spec.targets.query,
    isContinuous: spec.targets.continuous,
    waves: spec.waves.map(waveOf),
    criteria: spec.criteria.map(criterionOf),
    inFlight: `${inFlight}`,
    startsPerMinute: hasPlainRate ? `${startsPerMinute}` : "",
    downloadCron: download?.cron ?? "",
    downloadFor: download?.for ?? "8h",
    applyCron: apply?.cron ?? "",
    applyFor: apply?.for ?? "2h",
    timeZone: spec.timeZone,
    needsApproval: spec.approval === "required",
    mayDowngrade: spec.downgrade,
    mayBeDelta: spec.delta,
    rollbackImage: rollback?.image ?? "",
    carried: {
      caps: { ...otherCaps, ...(!hasPlainRate && startsPerMinute !== undefined && { startsPerMinute }) },
      windows: { ...windows, download: otherDownloads, apply: otherApplies },
      ...(rollback !== undefined && { rollback }),
    },
  };
}

const waveOf = ({ name, devices, successPercent, soak, criteria }: WaveSpec): WaveDraft =>
  newWave({ name, ...shareOf(devices), successPercent: `${successPercent ?? ""}`, soak, criteria });

function shareOf(devices: WaveSpec["devices"]): Pick<WaveDraft, "share" | "size"> {
  if (devices === "remaining") return { share: "remaining", size: "" };
  if ("query" in devices) return { share: "query", size: devices.query };
  return "count" in devices
    ? { share: "count", size: `${devices.count}` }
    : { share: "percent", size: `${devices.percent}` };
}

const criterionOf = ({ outcomes, threshold, minimumExecuted, window, do: action }: Criterion): CriterionDraft =>
  newCriterion({
    outcomes,
    ...("count" in threshold
      ? { unit: "count", limit: `${threshold.count}` }
      : { unit: "percent", limit: `${threshold.percent}` }),
    minimumExecuted: `${minimumExecuted}`,
    ...(window !== undefined && { window }),
    action,
  });
