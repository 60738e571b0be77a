/** The campaign that is prepared to undo another: its devices are those that the first one has updated. */
import { type Kysely, sql } from "kysely";
import type { Campaign } from "../campaign/campaign.ts";
import { hashedOrderKey } from "./campaign-snapshot.ts";
import { storableJson } from "./database.ts";
import type { Tables } from "./tables.ts";

/**
 * Adds to the rollback of a campaign every device that the campaign has updated and that is not in it yet.
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
    .select(["id", "value"])
    .where("rollback_of", "=", campaignId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { numAffectedRows } = await sql`
    insert into campaign_targets (campaign_id, endpoint, wave, order_key)
    select ${row.id}, endpoint, 0, ${hashedOrderKey(row.id)}
    from campaign_targets where campaign_id = ${campaignId} and state = 'succeeded'
    on conflict do nothing`.execute(transaction);
  const campaign = withMore(row.value, Number(numAffectedRows ?? 0n), utcMs);
  await transaction
    .updateTable("campaigns")
    .set({ value: storableJson(campaign), wake_at_ms: campaign.wakeAtMs, updated_at: new Date() })
    .where("id", "=", row.id)
    .execute();
  return campaign;
}

function withMore(campaign: Campaign, count: number, utcMs: number): Campaign {
  const [first, ...others] = campaign.waves;
  if (count === 0 || first === undefined) return campaign;
  const { counts } = first;
  const wave = { ...first, counts: { ...counts, total: counts.total + count, pending: counts.pending + count } };
  const wakeAtMs = campaign.state === "running" ? Math.round(utcMs) : campaign.wakeAtMs;
  return { ...campaign, waves: [wave, ...others], wakeAtMs };
}
