/** Whether somebody else has to approve a campaign, and why: nobody sends a fleet back to an older version on their own. */
import { compareVersions } from "@airlift/protocol/image/version";
import type { CampaignPolicy } from "./policy.ts";

/** Whether a device that runs `from` is sent back by `to`. */
export const isDowngrade = (to: string, from: string): boolean => compareVersions(to, from) < 0;

/** What of a written campaign may need approval. Versions are null where the image is not known. */
export interface ApprovalFacts {
  /** Its file says `approval: required`. */
  readonly isRequired: boolean;
  readonly allowsDowngrade: boolean;
  readonly version: string | null;
  /** Of the image of the rollback that is prepared with it, and approved along with it. */
  readonly rollbackVersion: string | null;
}

/** Why a campaign needs approval, as a sentence goes on after "needs approval: "; null = it does not. */
export function approvalReason({
  isRequired,
  allowsDowngrade,
  version,
  rollbackVersion,
}: ApprovalFacts): string | null {
  const reasons = [
    ...(isRequired ? ["its file asks for it"] : []),
    ...(allowsDowngrade ? ["allows lower versions"] : []),
    ...(version !== null && rollbackVersion !== null && isDowngrade(rollbackVersion, version)
      ? [`prepares a rollback to ${rollbackVersion}, a downgrade`]
      : []),
  ];
  return reasons.length === 0 ? null : reasons.join(", ");
}

/** As `approvalReason`. What an older program has written down does not tell what its rollback goes back to: it is taken to be lower. */
export function approvalOf({ approval, needsApproval, hasRollback }: CampaignPolicy): string | null {
  if (approval !== undefined) return approval;
  if (needsApproval) return "its file asks for it";
  return hasRollback ? "prepares a rollback" : null;
}
