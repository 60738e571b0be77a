/** What a command, a device's move or the clock makes of a campaign. */
import { countText } from "@airlift/protocol/lib/count-text";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import { approvalOf, authorsOf, requireApprover } from "./approval.ts";
import { type Campaign, countsOf } from "./campaign.ts";
import { CampaignDraft, type CampaignOutput } from "./campaign-draft.ts";
import { CAMPAIGN } from "./campaign-table.ts";
import { peopleText, type Speaker } from "./person.ts";
import type { CampaignPolicy } from "./policy.ts";
import type { Place } from "./wave-counts.ts";

/** One device went from one place to another. */
export interface TargetMove {
  readonly wave: number;
  /** Null = the device joins. */
  readonly from: Place | null;
  readonly to: Place;
  /** The radio cell that its attempt is, or was, counted in. */
  readonly cell: string | null;
  /** Octets of the image, when an attempt begins with this move. */
  readonly begunBytes: number | null;
  /** Octets that the device has acknowledged since its last move. */
  readonly deliveredBytes: number;
}

export type CampaignInput =
  | ({ readonly kind: "command"; readonly command: CampaignCommand } & Speaker)
  | { readonly kind: "moved"; readonly moves: readonly TargetMove[] }
  /** A rollback gets so many devices more. */
  | { readonly kind: "filled"; readonly count: number }
  /** The prepared rollback was filled with at least so many devices, and started. */
  | { readonly kind: "rollbackStarted"; readonly filledCount: number }
  | { readonly kind: "wake" };

export type { CampaignOutput } from "./campaign-draft.ts";

export interface CampaignStep {
  readonly campaign: Campaign;
  readonly outputs: readonly CampaignOutput[];
}

/**
 * The next value of a campaign and what follows. Pure; to be called with the campaign's row locked, and everything that comes out
 * of it is to be saved in the same transaction.
 *
 * @param utcMs Wall time. May go backwards: nothing is given twice.
 * @throws {UsageError} `CAMPAIGN_STATE` (409) when the state does not allow a command; `NO_ROLLBACK` (409); `SAME_PERSON` (403) when who has written something of a campaign approves it.
 */
export function stepCampaign(
  campaign: Campaign,
  policy: CampaignPolicy,
  input: CampaignInput,
  utcMs: number,
): CampaignStep {
  const draft = new CampaignDraft(campaign, policy, utcMs);
  switch (input.kind) {
    case "command":
      obey(draft, input);
      break;
    case "moved":
      for (const move of input.moves) draft.count(move);
      draft.judge();
      break;
    case "filled":
      draft.fill(input.count);
      break;
    case "rollbackStarted":
      // Who was updated meanwhile may not be in it yet.
      if (countsOf(draft.campaign).succeeded <= input.filledCount)
        draft.campaign = { ...draft.campaign, rollback: "started" };
      break;
    case "wake":
      break;
  }
  draft.settle();
  return { campaign: draft.campaign, outputs: draft.outputs };
}

function obey(draft: CampaignDraft, { command, by, personId }: { readonly command: CampaignCommand } & Speaker): void {
  const { campaign, policy } = draft;
  const event = command === "submit" && approvalOf(policy) === null ? "submitReady" : command;
  if (CAMPAIGN[campaign.state][event] === undefined)
    throw new UsageError("CAMPAIGN_STATE", `a campaign that is ${campaign.state} cannot be told to ${command}`, {
      campaignId: campaign.id,
      state: campaign.state,
      command,
    });
  if (command === "rollback" && !policy.hasRollback)
    throw new UsageError("NO_ROLLBACK", "the campaign was created without a rollback", { campaignId: campaign.id });
  if (command === "approve") {
    requireApprover(campaign, { name: by, id: personId });
    draft.campaign = { ...campaign, approvedBy: by, approverId: personId };
  }
  if (command === "reject") draft.campaign = { ...campaign, approvedBy: null, approverId: undefined };
  draft.take(event, commandSentence(command, draft, by));
}

function commandSentence(command: CampaignCommand, { campaign, policy }: CampaignDraft, by: string): string {
  const approval = approvalOf(policy);
  switch (command) {
    case "submit":
      return approval === null
        ? "ready to start"
        : `waits for somebody else than ${peopleText(authorsOf(campaign))} to approve it: ${approval}`;
    case "approve":
      return `approved by ${by}, ready to start`;
    case "reject":
      return `sent back to draft by ${by}`;
    case "start":
      return `started by ${by}: ${countText(countsOf(campaign).total, "device")} in ${countText(campaign.waves.length, "wave")}`;
    case "pause":
      return `paused by ${by}: nothing new starts, and no device is told to apply`;
    case "resume":
      return `resumed by ${by}`;
    case "stop":
      return `stopped by ${by}: transfers are cancelled, devices that are installing finish`;
    case "rollback":
      return `the rollback is started by ${by}`;
    case "abort":
      return `aborted by ${by}: transfers are cancelled, devices that are installing finish`;
  }
}
