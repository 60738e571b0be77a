/** How an update comes on record: asked for, ordered by a campaign, or cancelled before it began. */
import { randomBytes } from "node:crypto";
import type { Update } from "@airlift/protocol/api/schemas";
import { BugError, UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import { storableText } from "./database.ts";
import type { Written } from "./journal.ts";
import type { CampaignUpdateOrder, UpdateOrder } from "./ports.ts";
import type { Tables } from "./tables.ts";
import { alreadyRunning, attemptOf, toUpdate, transitionEvent } from "./update-rows.ts";

/** A cancelled update takes the attempt's place, so that whoever still holds the order to begin it finds it done. */
export async function insertCancelled(
  transaction: Kysely<Tables>,
  { order, sentence, nodeId }: { order: CampaignUpdateOrder; sentence: string; nodeId: string },
): Promise<Written<Update>> {
  const { campaign, endpoint, imageId, by } = order;
  const row = await transaction
    .insertInto("updates")
    .values({
      id: randomBytes(8).toString("hex"),
      endpoint,
      image_id: imageId,
      by,
      apply: false,
      state: "cancelled",
      sentence,
      acknowledged_bytes: 0,
      total_bytes: 0,
      node_id: nodeId,
      campaign_id: campaign.id,
      wave: campaign.wave,
      attempt: campaign.attempt,
      finished_at: new Date(),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (row !== undefined)
    return { result: toUpdate(row), events: [transitionEvent(row, { sentence, facts: { imageId } })] };
  const same = await attemptOf(transaction, { campaignId: campaign.id, endpoint, attempt: campaign.attempt });
  if (same === undefined) throw new BugError("NO_ATTEMPT", "an attempt is neither new nor known", { endpoint });
  return { result: toUpdate(same), events: [] };
}

/** @throws {UsageError} UNKNOWN_IMAGE, UPDATE_RUNNING, CAMPAIGN_STATE */
export async function insertUpdate(
  transaction: Kysely<Tables>,
  order: UpdateOrder,
  nodeId: string,
): Promise<Written<Update>> {
  const image = await transaction
    .selectFrom("images")
    .select(["size_bytes", "manufacturer", "model", "version"])
    .where("id", "=", order.imageId)
    .executeTakeFirst();
  if (image === undefined)
    throw new UsageError("UNKNOWN_IMAGE", `there is no image ${order.imageId}`, { imageId: order.imageId });
  const sentence = `queued: ${image.manufacturer} ${image.model} ${image.version}`;
  const row = await transaction
    .insertInto("updates")
    .values({
      id: randomBytes(8).toString("hex"),
      endpoint: order.endpoint,
      image_id: order.imageId,
      target: order.target ?? "firmware",
      delta: order.delta ?? false,
      by: order.by,
      apply: order.apply,
      state: "queued",
      sentence,
      acknowledged_bytes: 0,
      total_bytes: image.size_bytes,
      node_id: nodeOf(order.endpoint, nodeId),
      ...(order.campaign && {
        campaign_id: order.campaign.id,
        wave: order.campaign.wave,
        attempt: order.campaign.attempt,
      }),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) {
    const { campaign, endpoint } = order;
    const same =
      campaign && (await attemptOf(transaction, { campaignId: campaign.id, endpoint, attempt: campaign.attempt }));
    if (same === undefined) throw await alreadyRunning(transaction, order.endpoint);
    return { result: toUpdate(same), events: [] };
  }
  // Behind the insert: an attempt that is there already is told as it is, whatever its campaign does now.
  if (order.campaign !== undefined) await refuseWhatStands(transaction, order.campaign);
  return { result: toUpdate(row), events: [transitionEvent(row, { sentence, facts: { imageId: order.imageId } })] };
}

/**
 * An order that a server took just before its campaign was paused or stopped begins nothing afterwards.
 *
 * @throws {UsageError} CAMPAIGN_STATE
 */
async function refuseWhatStands(
  transaction: Kysely<Tables>,
  { id, wave }: NonNullable<UpdateOrder["campaign"]>,
): Promise<void> {
  const { rows } = await sql`
    select from campaigns where id = ${id} and state = 'running' and ${wave}::integer = any(open_waves)`.execute(
    transaction,
  );
  if (rows.length > 0) return;
  throw new UsageError("CAMPAIGN_STATE", `wave ${wave} of campaign ${id} begins nothing now`, { campaignId: id });
}

/** The server that the device is registered at while that one is alive, else `otherwise`. */
const nodeOf = (endpoint: string, otherwise: string) =>
  sql<string>`coalesce((
    select nodes.id from devices join nodes on nodes.id = devices.node_id and nodes.lease_until > now()
    where devices.endpoint = ${storableText(endpoint)}), ${otherwise})`;
