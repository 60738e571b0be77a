/** How an update's row goes on: by its driver, or by an operator who has it tried again. */
import type { Update } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import { type Kysely, sql, type Updateable } from "kysely";
import { storableJson, storableText } from "./database.ts";
import type { Written } from "./journal.ts";
import type { UpdateChange } from "./ports.ts";
import type { Tables, UpdateTable } from "./tables.ts";
import { requirePermit } from "./update-permits.ts";
import { alreadyRunning, toUpdate, transitionEvent, type UpdateRow } from "./update-rows.ts";

/** Enough to see that a device goes round in a circle. */
const MOST_LEFT_VERSIONS = 8;

/** What an attempt that ended so may be followed by another one. */
const MAY_BE_REOPENED: ReadonlySet<UpdateState> = new Set(["failed", "silent", "fellBack", "cancelled"]);

/** @throws {UsageError} UNKNOWN_UPDATE, CAMPAIGN_UPDATE, UPDATE_STATE, UPDATE_RUNNING */
export async function reopenUpdate(transaction: Kysely<Tables>, updateId: string): Promise<Written<Update>> {
  const old = await transaction
    .selectFrom("updates")
    .select(["state", "attempt", "endpoint", "campaign_id"])
    .where("id", "=", storableText(updateId))
    .forUpdate()
    .executeTakeFirst();
  if (old === undefined) throw new UsageError("UNKNOWN_UPDATE", `there is no update ${updateId}`, { updateId });
  if (old.campaign_id !== null)
    throw new UsageError("CAMPAIGN_UPDATE", "an update of a campaign is tried again by its campaign", {
      updateId,
      campaignId: old.campaign_id,
    });
  if (!MAY_BE_REOPENED.has(old.state))
    throw new UsageError("UPDATE_STATE", `an update that is ${old.state} needs no other attempt`, {
      updateId,
      state: old.state,
    });
  const other = await transaction
    .selectFrom("updates")
    .select("id")
    .where("endpoint", "=", old.endpoint)
    .where("finished_at", "is", null)
    .executeTakeFirst();
  if (other !== undefined) throw await alreadyRunning(transaction, old.endpoint);
  const attempt = old.attempt + 1;
  const sentence = `queued: attempt ${attempt}`;
  const now = new Date();
  const row = await transaction
    .updateTable("updates")
    .set({
      state: "queued",
      failure: null,
      sentence,
      said_at: now,
      attempt,
      method: null,
      package_uri: null,
      acknowledged_bytes: 0,
      snapshot: null,
      has_exchanges: true,
      updated_at: now,
      finished_at: null,
    })
    .where("id", "=", updateId)
    .returningAll()
    .executeTakeFirstOrThrow();
  return { result: toUpdate(row), events: [transitionEvent(row, { sentence, facts: { attempt } })] };
}

/** @throws {UsageError} UNKNOWN_UPDATE, UPDATE_FINISHED, UPDATE_TAKEN when another server drives it */
export async function changeUpdate(
  transaction: Kysely<Tables>,
  { updateId, nodeId }: { readonly updateId: string; readonly nodeId: string },
  change: UpdateChange,
): Promise<Written<Update>> {
  const old = await transaction
    .selectFrom("updates")
    .select(["state", "finished_at", "sentence", "node_id", "campaign_id"])
    .where("id", "=", updateId)
    .forUpdate()
    .executeTakeFirst();
  if (old === undefined) throw new UsageError("UNKNOWN_UPDATE", `there is no update ${updateId}`, { updateId });
  if (old.finished_at !== null)
    throw new UsageError("UPDATE_FINISHED", `update ${updateId} has ended: ${old.state}`, {
      updateId,
      state: old.state,
    });
  // Who was thought dead and is not, hears of it before anything follows from its decision.
  if (old.node_id !== null && old.node_id !== nodeId)
    throw new UsageError("UPDATE_TAKEN", `update ${updateId} is driven by ${old.node_id}`, {
      updateId,
      node: old.node_id,
    });
  if (change.permit !== undefined && old.campaign_id !== null)
    await requirePermit(transaction, updateId, change.permit);
  const row = await transaction
    .updateTable("updates")
    .set({ ...columnsOf(change), ...(change.sentence !== old.sentence && { said_at: new Date() }) })
    .where("id", "=", updateId)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (row.finished_at !== null) await remember(transaction, row);
  const event = transitionEvent(row, change);
  return { result: toUpdate(row), events: [old.state === row.state ? { ...event, kind: "update.note" } : event] };
}

/** What became of a device's updates goes on its own row, for the campaigns' rules. */
async function remember(transaction: Kysely<Tables>, row: UpdateRow): Promise<void> {
  const left = row.campaign_id === null ? null : (row.snapshot?.versionBefore ?? null);
  if (row.state === "succeeded")
    await sql`update devices set failure_count = 0, last_failure = null,
      left_versions = case when ${left}::text is null then left_versions
        else (array_prepend(${left}::text, left_versions))[1:${MOST_LEFT_VERSIONS}] end
      where endpoint = ${row.endpoint}`.execute(transaction);
  else if (row.state === "failed" || row.state === "silent" || row.state === "fellBack")
    await sql`update devices set failure_count = failure_count + 1,
      last_failure = ${row.failure ?? row.state}, last_failure_at = now()
      where endpoint = ${row.endpoint}`.execute(transaction);
}

/** The columns that a change names; undefined leaves a column as it is. */
function columnsOf(change: UpdateChange): Updateable<UpdateTable> {
  const now = new Date();
  return {
    sentence: storableText(change.sentence),
    state: change.state,
    failure: change.failure,
    method: change.method,
    package_uri: change.packageUri,
    acknowledged_bytes: change.acknowledgedBytes,
    total_bytes: change.totalBytes,
    apply: change.apply,
    snapshot: change.snapshot && storableJson(change.snapshot),
    updated_at: now,
    finished_at: change.state !== undefined && isFinalUpdateState(change.state) ? now : undefined,
  };
}
