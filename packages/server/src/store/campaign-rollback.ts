/** The campaign that is prepared to undo another: its devices are those that the first one has updated. */
import { type Kysely, sql } from "kysely";
import { approvedAlong, type Campaign } from "../campaign/campaign.ts";
import { stepCampaign } from "../campaign/campaign-step.ts";
import { decodePolicy } from "./campaign-policy.ts";
import { hashedOrderKey } from "./campaign-snapshot.ts";
import { CampaignTurn } from "./campaign-turn.ts";
import { insertEvents } from "./event-rows.ts";
import type { Tables } from "./tables.ts";

/**
 * Adds to the rollback of a campaign every device that the campaign has updated and that is not in it yet; one that was stopped gets none.
 *
 * @param transaction Locks the rollback's row until it ends.
 * @returns The rollback; undefined when none is prepared.
 */
export async function fillRollback(
  transaction: Kysely<Tables>,
  { campaignId, utcMs }: { readonly campaignId: string; readonly utcMs: number },
): Promise<Campaign | undefined> {
  const row = await transaction
    .selectFrom("campaigns")
    .select(["id", "value", "policy"])
    .where("rollback_of", "=", campaignId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined || row.value.state === "stopped" || row.value.state === "aborted") return row?.value;
  const { numAffectedRows } = await sql`
    insert into campaign_targets (campaign_id, endpoint, wave, order_key)
    select ${row.id}, endpoint, 0, ${hashedOrderKey(row.id)}
    from campaign_targets where campaign_id = ${campaignId} and state = 'succeeded'
    on conflict do nothing`.execute(transaction);
  const count = Number(numAffectedRows ?? 0n);
  if (count === 0) return row.value;
  const turn = new CampaignTurn(transaction, {
    campaign: approvedAlong(row.value, await undone(transaction, campaignId)),
    policy: decodePolicy(row.policy),
  });
  const { campaign, outputs } = stepCampaign(turn.campaign, turn.policy, { kind: "filled", count }, utcMs);
  await turn.save({ campaign, targets: [], joined: [], outputs });
  await insertEvents(transaction, turn.events);
  return campaign;
}

/** The campaign that is undone. */
async function undone(transaction: Kysely<Tables>, campaignId: string): Promise<Campaign> {
  const row = await transaction
    .selectFrom("campaigns")
    .select("value")
    .where("id", "=", campaignId)
    .executeTakeFirstOrThrow();
  return row.value;
}
