/** Whether an update's device may apply its image now, as its campaign says. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import type { Tables } from "./tables.ts";

/** An update of no campaign always may. */
export async function isPermitted(transaction: Kysely<Tables>, updateId: string): Promise<boolean> {
  const { rows } = await sql<{ is_permitted: boolean }>`
    select u.campaign_id is null or exists (
      select from campaigns c join campaign_targets t on t.campaign_id = c.id
      where c.id = u.campaign_id and t.endpoint = u.endpoint and t.attempt = u.attempt
        and t.is_apply_permitted and c.state = 'running' and t.wave = any(c.open_waves)) as is_permitted
    from updates u where u.id = ${updateId}`.execute(transaction);
  return rows[0]?.is_permitted ?? false;
}

/**
 * Whoever decided by what a campaign said before a pause, or before it went on, decides again. Its caller has the campaign stay as it is
 * (`ChangeExtent.steeredIds`), so that nothing is permitted, or withdrawn, at the same moment.
 *
 * @throws {UsageError} CAMPAIGN_PERMIT
 */
export async function requirePermit(transaction: Kysely<Tables>, updateId: string, wanted: boolean): Promise<void> {
  if ((await isPermitted(transaction, updateId)) === wanted) return;
  throw new UsageError(
    "CAMPAIGN_PERMIT",
    wanted ? "its campaign does not let the device apply now" : "its campaign lets the device apply",
    { updateId },
  );
}
