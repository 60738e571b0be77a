/** A campaign's policy as JSON: its schedules hold sets, which JSON does not know. */
import type { CampaignPolicy } from "../campaign/policy.ts";
import { storableText } from "./database.ts";

/** The member that stands for a set; no policy has one of this name. */
const SET = "$set";

export function encodePolicy(policy: CampaignPolicy): string {
  return JSON.stringify(policy, (_, part: unknown) => {
    if (part instanceof Set) return { [SET]: [...part] };
    return typeof part === "string" ? storableText(part) : part;
  });
}

/** @param kept What `encodePolicy` made, read as JSON. */
export function decodePolicy(kept: unknown): CampaignPolicy {
  return revive(kept) as CampaignPolicy;
}

function revive(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(revive);
  if (typeof part !== "object" || part === null) return part;
  if (SET in part && Array.isArray(part[SET])) return new Set(part[SET]);
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, revive(value)]));
}
