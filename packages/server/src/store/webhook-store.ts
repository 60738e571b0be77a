/** Webhooks as operators see them. Their secrets are sealed under the master key, as device keys are. */
import { createHash, randomBytes } from "node:crypto";
import type {
  CreatedWebhook,
  DeliveryState,
  NewWebhook,
  Webhook,
  WebhookDelivery,
  WebhookEdit,
} from "@airlift/protocol/api/webhooks";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type Selectable, sql } from "kysely";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import { storableText } from "./database.ts";
import type { MasterKeys } from "./master-keys.ts";
import type { Page, PageRequest } from "./ports.ts";
import type { WebhookDeliveryTable, WebhookTable } from "./record-tables.ts";
import type { Tables } from "./tables.ts";

/** Each event is looked at once for every webhook. */
export const MOST_WEBHOOKS = 100;
const SECRET_BYTES = 32;
/** Names the lock under which webhooks are added. */
const WEBHOOKS_LOCK = 7_104_531_889;

/** What a webhook's secret is sealed for. */
export const webhookPlace = (id: string): string => `webhook\0${id}`;

export class WebhookStore {
  readonly #tables: Kysely<Tables>;
  readonly #keys: MasterKeys;

  constructor(tables: Kysely<Tables>, keys: MasterKeys) {
    this.#tables = tables;
    this.#keys = keys;
  }

  /**
   * Adds a webhook that hears of what happens from now on.
   *
   * @throws {UsageError} WEBHOOKS_FULL (409)
   */
  async add({ url, kinds = [], campaignId = null, note = "" }: NewWebhook): Promise<CreatedWebhook> {
    const id = randomBytes(6).toString("hex");
    const secret = randomBytes(SECRET_BYTES);
    const { keyVersion, bytes } = this.#keys.seal(secret, webhookPlace(id));
    await this.#tables.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${WEBHOOKS_LOCK})`.execute(transaction);
      const { rows } = await sql<{ count: number }>`select count(*) as count from webhooks`.execute(transaction);
      if ((rows[0]?.count ?? 0) >= MOST_WEBHOOKS)
        throw new UsageError("WEBHOOKS_FULL", `there are ${MOST_WEBHOOKS} webhooks already`, { limit: MOST_WEBHOOKS });
      await transaction
        .insertInto("webhooks")
        .values({
          id,
          url: storableText(url),
          kinds,
          campaign_id: campaignId === null ? null : storableText(campaignId),
          note: storableText(note),
          secret: bytes,
          key_version: keyVersion,
          position: sql<number>`(select coalesce(max(id), 0) from events)`,
        })
        .execute();
    });
    return { ...(await this.get(id)), secret: `whsec_${secret.toString("base64")}` };
  }

  /** @throws {UsageError} UNKNOWN_WEBHOOK (404) */
  async get(id: string, tables: Kysely<Tables> = this.#tables): Promise<Webhook> {
    const [row] = await selectCounted(tables, sql`where w.id = ${storableText(id)}`);
    if (row === undefined) throw unknownWebhook(id);
    return toWebhook(row);
  }

  /** Oldest first; there are few. */
  async list(): Promise<Webhook[]> {
    return (await selectCounted(this.#tables, sql`order by w.seq`)).map(toWebhook);
  }

  /**
   * Changes what is given. One that is enabled again hears of what happens from then on; what waited before goes on.
   *
   * @param revision `webhookRevision` as it was seen; undefined = whatever it is.
   * @throws {UsageError} UNKNOWN_WEBHOOK (404), ETAG_MISMATCH (412)
   */
  async edit(id: string, edit: WebhookEdit, revision?: string): Promise<Webhook> {
    return await this.#tables.transaction().execute(async (transaction) => {
      await sql`select from webhooks where id = ${storableText(id)} for update`.execute(transaction);
      if (revision !== undefined && revision !== webhookRevision(await this.get(id, transaction)))
        throw new UsageError("ETAG_MISMATCH", `webhook ${id} has changed since it was looked at`, { id });
      await writeEdit(transaction, id, edit);
      return await this.get(id, transaction);
    });
  }

  /** With everything that waits for it. @throws {UsageError} UNKNOWN_WEBHOOK (404) */
  async remove(id: string): Promise<void> {
    const { numDeletedRows } = await this.#tables
      .deleteFrom("webhooks")
      .where("id", "=", storableText(id))
      .executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) throw unknownWebhook(id);
  }

  /** Newest first. @throws {UsageError} UNKNOWN_WEBHOOK (404) */
  async deliveries(id: string, state: DeliveryState | undefined, page: PageRequest): Promise<Page<WebhookDelivery>> {
    await this.get(id);
    let query = this.#tables.selectFrom("webhook_deliveries").selectAll().where("webhook_id", "=", storableText(id));
    if (state !== undefined) query = query.where("state", "=", state);
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("seq", "desc")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toDelivery, position: (row) => row.seq });
  }

  /**
   * Sends deliveries once more under their old ids: these, or all that were given up.
   *
   * @returns How many; those that wait already are not among them.
   * @throws {UsageError} UNKNOWN_WEBHOOK (404), UNKNOWN_DELIVERY (404): nothing is sent then
   */
  async replay(id: string, deliveryIds?: readonly string[]): Promise<number> {
    await this.get(id);
    if (deliveryIds !== undefined) await this.#requireDeliveries(id, deliveryIds);
    let query = this.#tables
      .updateTable("webhook_deliveries")
      // Its age counts from now on: it may be tried as long as a new one.
      .set({
        state: "waiting",
        attempts: 0,
        next_at: sql<Date>`now()`,
        created_at: sql<Date>`now()`,
        finished_at: null,
      })
      .where("webhook_id", "=", storableText(id));
    query =
      deliveryIds === undefined
        ? query.where("state", "=", "dead")
        : query.where("id", "in", ["", ...deliveryIds.map(storableText)]).where("state", "!=", "waiting");
    return Number((await query.executeTakeFirstOrThrow()).numUpdatedRows);
  }

  /** Sends a test, which is tried once. @throws {UsageError} UNKNOWN_WEBHOOK (404), WEBHOOK_RESTS (409) */
  async test(id: string): Promise<WebhookDelivery> {
    const { isEnabled, disabledReason } = await this.get(id);
    if (!isEnabled) {
      const why = disabledReason === null ? "" : ` (${disabledReason})`;
      throw new UsageError("WEBHOOK_RESTS", `webhook ${id} is not enabled${why}: enable it, then test it`, { id });
    }
    const data = { sentence: "a test of this webhook" };
    const row = await this.#tables
      .insertInto("webhook_deliveries")
      .values({
        id: `${storableText(id)}-test-${randomBytes(6).toString("hex")}`,
        webhook_id: storableText(id),
        kind: "webhook.test",
        body: JSON.stringify({ type: "webhook.test", timestamp: new Date().toISOString(), data }),
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return toDelivery(row);
  }

  async #requireDeliveries(id: string, deliveryIds: readonly string[]): Promise<void> {
    const { rows } = await sql<{ missing: string }>`
      select missing from unnest(${deliveryIds.map(storableText)}::text[]) as asked(missing)
      where not exists (select from webhook_deliveries d where d.id = missing and d.webhook_id = ${storableText(id)})
      limit 5`.execute(this.#tables);
    if (rows.length === 0) return;
    const names = rows.map(({ missing }) => missing).join(", ");
    throw new UsageError("UNKNOWN_DELIVERY", `webhook ${id} has no delivery ${names}; nothing was sent again`, { id });
  }

  /** Deliveries of all webhooks by where they stand; those that were delivered are not counted. */
  async backlog(): Promise<{ readonly waiting: number; readonly dead: number }> {
    const { rows } = await sql<{ waiting: number; dead: number }>`
      select count(*) filter (where state = 'waiting') as waiting, count(*) filter (where state = 'dead') as dead
      from webhook_deliveries where state in ('waiting', 'dead')`.execute(this.#tables);
    return rows[0] ?? { waiting: 0, dead: 0 };
  }
}

type CountedRow = Selectable<WebhookTable> & { readonly waiting: number; readonly dead: number };

/** Changes with everything that an edit may change, and not with what is sent. */
export const webhookRevision = ({ url, kinds, campaignId, note, isEnabled, disabledReason }: Webhook): string =>
  createHash("sha256")
    .update(JSON.stringify([url, kinds, campaignId, note, isEnabled, disabledReason]))
    .digest("base64url")
    .slice(0, 22);

async function selectCounted(tables: Kysely<Tables>, tail: ReturnType<typeof sql>): Promise<CountedRow[]> {
  const { rows } = await sql<CountedRow>`
    select w.*,
      (select count(*) from webhook_deliveries d where d.webhook_id = w.id and d.state = 'waiting') as waiting,
      (select count(*) from webhook_deliveries d where d.webhook_id = w.id and d.state = 'dead') as dead
    from webhooks w ${tail}`.execute(tables);
  return rows;
}

async function writeEdit(
  transaction: Kysely<Tables>,
  id: string,
  { url, kinds, campaignId, note, isEnabled }: WebhookEdit,
): Promise<void> {
  const { numUpdatedRows } = await transaction
    .updateTable("webhooks")
    .set({
      ...(url !== undefined && { url: storableText(url) }),
      ...(kinds !== undefined && { kinds }),
      ...(campaignId !== undefined && { campaign_id: campaignId === null ? null : storableText(campaignId) }),
      ...(note !== undefined && { note: storableText(note) }),
      ...(isEnabled !== undefined && {
        is_enabled: isEnabled,
        disabled_reason: null,
        position: sql<number>`case when ${isEnabled} and not is_enabled
          then (select coalesce(max(id), 0) from events) else position end`,
      }),
      // A statement without a change is none.
      id: storableText(id),
    })
    .where("id", "=", storableText(id))
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) throw unknownWebhook(id);
}

const unknownWebhook = (id: string): UsageError =>
  new UsageError("UNKNOWN_WEBHOOK", `there is no webhook ${id}`, { id });

const toWebhook = (row: CountedRow): Webhook => ({
  id: row.id,
  url: row.url,
  kinds: row.kinds,
  campaignId: row.campaign_id,
  isEnabled: row.is_enabled,
  disabledReason: row.disabled_reason,
  note: row.note,
  createdAt: row.created_at.toISOString(),
  waitingCount: row.waiting,
  deadCount: row.dead,
});

const toDelivery = (row: Selectable<WebhookDeliveryTable>): WebhookDelivery => ({
  id: row.id,
  eventId: row.event_id,
  kind: row.kind,
  state: row.state,
  attempts: row.attempts,
  createdAt: row.created_at.toISOString(),
  nextAt: row.state === "waiting" ? row.next_at.toISOString() : null,
  status: row.status,
  problem: row.problem,
});
