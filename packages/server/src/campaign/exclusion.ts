/** Which devices a campaign leaves out, and why: what does not depend on the hour. Asked when they are dealt out, by the plan, and before each attempt. */
import { compareVersions } from "@airlift/protocol/image/version";
import type { ExclusionReason } from "@airlift/protocol/update/campaign";
import { isDowngrade } from "./approval.ts";
import type { Candidate, DeviceHistory } from "./device.ts";
import type { CampaignPolicy } from "./policy.ts";
import { EXCLUSIONS } from "./sentences.ts";
import { chainFrom, type PolicyImage } from "./stepping-stones.ts";

/** What is asked of a device. */
export interface Considered {
  readonly device: Pick<Candidate["device"], "manufacturer" | "model" | "hardware" | "version">;
  readonly history: Pick<DeviceHistory, "leftVersions">;
}

/** The image that a device gets next, or why it gets none. */
export function chooseImage(
  { device, history }: Considered,
  policy: CampaignPolicy,
): { readonly image: PolicyImage } | { readonly reason: ExclusionReason } {
  const { image, allowsDowngrade } = policy;
  const { version } = device;
  if (version !== null && compareVersions(version, image.version) === 0) return { reason: "alreadyRuns" };
  if (isOther(device.manufacturer, image.manufacturer) || isOther(device.model, image.model))
    return { reason: "otherModel" };
  if (device.hardware !== null && image.hardware.length > 0 && !image.hardware.includes(device.hardware))
    return { reason: "otherHardware" };
  if (!allowsDowngrade && version !== null && isDowngrade(image.version, version)) return { reason: "downgrade" };
  if (!allowsDowngrade && history.leftVersions.some((left) => isLoop(left, policy))) return { reason: "loop" };
  const next = chainFrom(version, policy)?.[0];
  return next ? { image: next } : { reason: "noSteppingStone" };
}

/** Whether a campaign would bring back a version that was left. */
export const isLoop = (left: string, { image }: Pick<CampaignPolicy, "image">): boolean =>
  compareVersions(left, image.version) === 0;

/** Why a device is left out; undefined = it is not. @param isShut Its download window never opens. */
export function exclusionOf(
  considered: Considered,
  policy: CampaignPolicy,
  isShut: boolean,
): ExclusionReason | undefined {
  const chosen = chooseImage(considered, policy);
  if ("reason" in chosen) return chosen.reason;
  return isShut ? "windowNeverOpens" : undefined;
}

export function exclusionSentence(
  reason: ExclusionReason,
  { version, model, hardware }: Considered["device"],
  policy: CampaignPolicy,
): string {
  return EXCLUSIONS[reason]({ version, model, hardware, imageVersion: policy.image.version });
}

/** A device that does not tell is let through: it refuses an image that is not its own. */
const isOther = (told: string | null, wanted: string): boolean => told !== null && told !== wanted;
