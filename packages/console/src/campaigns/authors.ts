/** Who has written a campaign, in words: whoever approves it says yes to what all of them wrote. */
import type { CampaignSummary } from "@airlift/protocol/api/campaign";

/** "otto", "otto and ben", "otto, ben and cleo": each once, who created it first. */
export function authorsText({ createdBy, changedBy }: Pick<CampaignSummary, "createdBy" | "changedBy">): string {
  const others = new Set(changedBy.filter((name) => name !== createdBy));
  const names = [createdBy, ...others];
  const last = names.at(-1) ?? createdBy;
  return names.length === 1 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
