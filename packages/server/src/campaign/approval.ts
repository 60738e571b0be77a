/** Whether somebody else has to approve a campaign, why, and who may: nobody sends a fleet back to an older version on their own. */
import { compareVersions } from "@airlift/protocol/image/version";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Authorship } from "./campaign.ts";
import { isSamePerson, type Person, peopleText } from "./person.ts";
import type { CampaignPolicy } from "./policy.ts";

/** People whose changes to one draft are kept apart: more than any office has. */
export const MOST_EDITORS = 100;

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

/** Everybody who has written something of a campaign: who created it, then who changed it. A change takes nobody's part away. */
export const authorsOf = ({ createdBy, creatorId, editors = [] }: Authorship): readonly Person[] => [
  { name: createdBy, id: creatorId },
  ...editors,
];

/** @throws {UsageError} `SAME_PERSON` (403) when who would approve it has written something of it. */
export function requireApprover(campaign: Authorship, person: Person): void {
  const authors = authorsOf(campaign);
  if (!authors.some((author) => isSamePerson(author, person))) return;
  const sentence = `somebody who has neither created nor changed the campaign must approve it: not ${peopleText(authors)}`;
  throw new UsageError("SAME_PERSON", sentence, { by: person.name });
}

/**
 * A draft that somebody changes: they stand for it beside those who did before.
 *
 * @throws {UsageError} `DRAFT_EDITORS` (409) when `MOST_EDITORS` others have changed it.
 */
export function changedBy<Draft extends Authorship>(draft: Draft, { name, id }: Person): Draft {
  const others = (draft.editors ?? []).filter((editor) => editor.name !== name || editor.id !== id);
  if (others.length === MOST_EDITORS)
    throw new UsageError("DRAFT_EDITORS", `${MOST_EDITORS} people have changed the draft: write a new one`, {
      campaignId: draft.id,
    });
  return { ...draft, editors: [...others, { name, ...(id !== undefined && { id }) }] };
}
