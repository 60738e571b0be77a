/** Campaigns before they are submitted: changed, with their devices dealt out anew, or taken away. */
import { createHash } from "node:crypto";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type Selectable, sql } from "kysely";
import { changedBy } from "../campaign/approval.ts";
import { newCampaign } from "../campaign/campaign.ts";
import { encodePolicy } from "./campaign-policy.ts";
import { type CampaignOrder, insertRollback } from "./campaign-rows.ts";
import { joinTargets, snapshotText } from "./campaign-snapshot.ts";
import type { CampaignTable } from "./campaign-tables.ts";
import { storableJson, storableText } from "./database.ts";
import { insertEvents } from "./event-rows.ts";
import type { Tables } from "./tables.ts";

/** What a campaign was when somebody looked at it: changes with everything that is kept of it. */
export function revisionOf({ spec, value }: Pick<Selectable<CampaignTable>, "spec" | "value">): string {
  return createHash("sha256")
    .update(JSON.stringify([spec, value]))
    .digest("base64url")
    .slice(0, 22);
}

/** A draft, and what whoever changes it has seen of it. */
export interface DraftKey {
  readonly campaignId: string;
  /** `revisionOf` the campaign; undefined = whatever it is. */
  readonly revision: string | undefined;
}

/**
 * Puts another spec in a draft's place, with the devices that its query finds now.
 *
 * @throws {UsageError} UNKNOWN_CAMPAIGN, CAMPAIGN_STATE, ETAG_MISMATCH, DRAFT_EDITORS, QUERY_TOO_BROAD
 */
export async function reviseDraft(
  transaction: Kysely<Tables>,
  { order, ...key }: DraftKey & { readonly order: CampaignOrder },
  utcMs: number,
): Promise<void> {
  const { value: draft } = await lockDraft(transaction, key, "changed");
  await forget(transaction, key.campaignId);
  const { spec, policy, author } = order;
  const id = key.campaignId;
  const snapshot = await joinTargets(transaction, { campaignId: id, policy, utcMs });
  const campaign = newCampaign(changedBy(draft, author), policy, snapshot.sizes);
  await transaction
    .updateTable("campaigns")
    .set({
      name: storableText(policy.name),
      spec: storableJson(spec),
      policy: encodePolicy(policy),
      value: storableJson(campaign),
      priority: policy.priority,
      updated_at: new Date(),
    })
    .where("id", "=", id)
    .execute();
  await insertRollback(transaction, campaign, order);
  const sentence = `the draft was changed by ${author.name}, and is for ${snapshotText(snapshot)}`;
  await insertEvents(transaction, [{ kind: "campaign.transition", campaignId: id, sentence }]);
}

/** @throws {UsageError} UNKNOWN_CAMPAIGN, CAMPAIGN_STATE, ETAG_MISMATCH */
export async function deleteDraft(transaction: Kysely<Tables>, key: DraftKey, by: string): Promise<void> {
  const { name } = await lockDraft(transaction, key, "deleted");
  await forget(transaction, key.campaignId);
  await transaction.deleteFrom("campaigns").where("id", "=", key.campaignId).execute();
  const sentence = `the draft ${name} was deleted by ${by}`;
  await insertEvents(transaction, [{ kind: "campaign.transition", campaignId: key.campaignId, sentence }]);
}

async function lockDraft(transaction: Kysely<Tables>, { campaignId, revision }: DraftKey, verb: string) {
  const row = await transaction
    .selectFrom("campaigns")
    .selectAll()
    .where("id", "=", storableText(campaignId))
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new UsageError("UNKNOWN_CAMPAIGN", `there is no campaign ${campaignId}`, { campaignId });
  if (revision !== undefined && revision !== revisionOf(row))
    throw new UsageError("ETAG_MISMATCH", `campaign ${row.name} has changed since it was looked at`, { campaignId });
  const { state } = row;
  if (state !== "draft")
    throw new UsageError("CAMPAIGN_STATE", `a campaign that is ${state} cannot be ${verb}`, { campaignId, state });
  return row;
}

/** Its devices, and the rollback that was prepared with it. */
async function forget(transaction: Kysely<Tables>, campaignId: string): Promise<void> {
  await sql`delete from campaign_targets where campaign_id = ${campaignId}`.execute(transaction);
  await transaction.deleteFrom("campaigns").where("rollback_of", "=", campaignId).execute();
}
