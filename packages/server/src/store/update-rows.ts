/** Rows of updates: how each reads, and what is looked up by itself. */
import type { Update } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Kysely, Selectable } from "kysely";
import { storableText } from "./database.ts";
import type { CampaignAttempt, UpdateChange } from "./ports.ts";
import type { Tables, UpdateTable } from "./tables.ts";

export type UpdateRow = Selectable<UpdateTable>;

/** The update that a campaign's attempt is. */
export async function attemptOf(
  tables: Kysely<Tables>,
  { campaignId, endpoint, attempt }: CampaignAttempt,
): Promise<UpdateRow | undefined> {
  return await tables
    .selectFrom("updates")
    .selectAll()
    .where("campaign_id", "=", campaignId)
    .where("endpoint", "=", storableText(endpoint))
    .where("attempt", "=", attempt)
    .executeTakeFirst();
}

/** Why a device gets no other update now. */
export async function alreadyRunning(transaction: Kysely<Tables>, endpoint: string): Promise<UsageError> {
  const running = await transaction
    .selectFrom("updates")
    .select(["id", "state"])
    .where("endpoint", "=", endpoint)
    .where("finished_at", "is", null)
    .executeTakeFirst();
  return new UsageError("UPDATE_RUNNING", `${endpoint} has an update that is not finished`, {
    updateId: running?.id,
    state: running?.state,
  });
}

/** The event that tells of a transition of the row. */
export const transitionEvent = (row: UpdateRow, { sentence, facts }: Pick<UpdateChange, "sentence" | "facts">) => ({
  kind: "update.transition" as const,
  endpoint: row.endpoint,
  updateId: row.id,
  ...(row.campaign_id !== null && { campaignId: row.campaign_id }),
  sentence,
  facts: {
    ...facts,
    state: row.state,
    ...(row.failure !== null && { failure: row.failure }),
    acknowledgedBytes: row.acknowledged_bytes,
    totalBytes: row.total_bytes,
  },
});

/** A row as the API shows it. */
export function toUpdate(row: UpdateRow): Update {
  return {
    id: row.id,
    endpoint: row.endpoint,
    imageId: row.image_id,
    target: row.target,
    delta: row.delta,
    deltaId: row.snapshot?.packageChoice?.delta?.id ?? null,
    attempt: row.attempt,
    by: row.by,
    campaignId: row.campaign_id,
    apply: row.apply,
    state: row.state,
    failure: row.failure,
    sentence: row.sentence,
    since: row.said_at.toISOString(),
    method: row.method,
    packageUri: row.package_uri,
    acknowledgedBytes: row.acknowledged_bytes,
    totalBytes: row.total_bytes,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}
