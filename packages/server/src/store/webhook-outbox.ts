/**
 * What is to be sent to webhooks. The event log is the outbox: each webhook has a position in it, and what lies behind
 * becomes deliveries, each with an id that it keeps. A delivery is leased to the server that sends it.
 */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import { insertEvents, toEvent } from "./event-rows.ts";
import type { MasterKeys } from "./master-keys.ts";
import type { Tables } from "./tables.ts";
import { webhookPlace } from "./webhook-store.ts";

/** A delivery that this server is to send now. */
export interface LeasedDelivery {
  readonly id: string;
  readonly webhookId: string;
  readonly url: string;
  /** What it is signed with; a sentence when it cannot be opened. */
  readonly secret: Buffer | UnopenedSecret;
  readonly kind: string;
  readonly body: string;
  /** With the one that is to come. */
  readonly attempts: number;
  /** Since it was made or replayed. */
  readonly ageMs: number;
}

/** Why a webhook's secret cannot be opened here. */
export interface UnopenedSecret {
  readonly problem: string;
  /** The master key it is sealed under is not here: another server may have it, or this one after its next start. */
  readonly isKeyMissing: boolean;
}

/** How an attempt went: done, to be tried again, or given up. */
export type DeliveryOutcome =
  | { readonly kind: "delivered"; readonly status: number }
  | {
      readonly kind: "again";
      readonly status: number | null;
      readonly problem: string;
      readonly afterMs: number;
    }
  | { readonly kind: "dead"; readonly status: number | null; readonly problem: string };

export interface SettledAttempt extends Pick<LeasedDelivery, "id" | "webhookId" | "url"> {
  readonly outcome: DeliveryOutcome;
}

/** A receiver says with this that it is not there any more, and wants to hear nothing (RFC 9110 §15.5.11). */
export const GONE = 410;

/** Events of one webhook that are looked at in one transaction. */
const EVENTS_AT_ONCE = 500;
/** Deliveries of one webhook that wait at most: the others stay in the event log until there is room. */
const MOST_WAITING = 5000;
/** A server that has not said how it went by now is gone, and another sends it again. */
const LEASE = sql`interval '60 seconds'`;

export class WebhookOutbox {
  readonly #tables: Kysely<Tables>;
  readonly #keys: MasterKeys;

  constructor(tables: Kysely<Tables>, keys: MasterKeys) {
    this.#tables = tables;
    this.#keys = keys;
  }

  /** Makes deliveries of the events behind each webhook's position; how many events were looked at. */
  async fill(): Promise<number> {
    const { rows } = await sql<{ id: string }>`
      select id from webhooks w where is_enabled and position < (select coalesce(max(id), 0) from events)
        and (select count(*) from (select from webhook_deliveries d
          where d.webhook_id = w.id and d.state = 'waiting' limit ${MOST_WAITING}) waiting) < ${MOST_WAITING}
      order by seq`.execute(this.#tables);
    let count = 0;
    for (const { id } of rows) count += await this.#fillOne(id);
    return count;
  }

  /**
   * Leases deliveries that are due, those of the webhook first that has the fewest under way.
   *
   * @param perWebhook At most so many for each webhook, those counted that this server sends now.
   * @param sending How many it sends now, by webhook.
   * @param limit At most so many in all.
   */
  async take(perWebhook: number, sending: ReadonlyMap<string, number>, limit: number): Promise<LeasedDelivery[]> {
    const { rows } = await sql<TakenRow>`
      with due as (
        select d.id from webhooks w
        left join unnest(${[...sending.keys()]}::text[], ${[...sending.values()]}::integer[]) as busy(id, count)
          on busy.id = w.id
        cross join lateral (
          select id from webhook_deliveries
          where webhook_id = w.id and state = 'waiting' and next_at <= now()
            and (lease_until is null or lease_until < now())
          order by next_at limit greatest(0, ${perWebhook}::integer - coalesce(busy.count, 0)) for update skip locked) d
        where w.is_enabled order by coalesce(busy.count, 0), w.seq limit ${limit})
      update webhook_deliveries d set attempts = attempts + 1, lease_until = now() + ${LEASE}
      from due, webhooks w where d.id = due.id and w.id = d.webhook_id
      returning d.id, d.webhook_id, d.kind, d.body, d.attempts, w.url, w.secret, w.key_version,
        extract(epoch from now() - d.created_at) * 1000 as age_ms`.execute(this.#tables);
    return rows.map((row) => ({
      id: row.id,
      webhookId: row.webhook_id,
      url: row.url,
      secret: this.#open(row),
      kind: row.kind,
      body: row.body,
      attempts: row.attempts,
      ageMs: Number(row.age_ms),
    }));
  }

  /** One secret that cannot be opened keeps no other delivery from being sent. */
  #open({ webhook_id, secret, key_version }: TakenRow): Buffer | UnopenedSecret {
    try {
      return this.#keys.unseal({ keyVersion: key_version, bytes: secret }, webhookPlace(webhook_id));
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      return {
        problem: `the webhook's secret cannot be opened: ${error.message}; delete the webhook and add it anew`,
        isKeyMissing: !this.#keys.has(key_version),
      };
    }
  }

  /** Says how attempts went, and gives their leases back. */
  async settle(attempts: readonly SettledAttempt[]): Promise<void> {
    if (attempts.length === 0) return;
    await this.#tables.transaction().execute(async (transaction) => {
      await writeOutcomes(transaction, attempts);
      const gone = attempts.filter(({ outcome }) => outcome.kind === "dead" && outcome.status === GONE);
      await disable(transaction, gone);
    });
  }

  /** Gives an attempt back that was broken off from this side: it does not count, and anybody may begin it at once. */
  async release(id: string): Promise<void> {
    await sql`update webhook_deliveries set lease_until = null, attempts = greatest(0, attempts - 1)
      where id = ${id} and state = 'waiting'`.execute(this.#tables);
  }

  /** One server at a time: whoever finds the row locked leaves it to the other. */
  async #fillOne(id: string): Promise<number> {
    return await this.#tables.transaction().execute(async (transaction) => {
      const webhook = await transaction
        .selectFrom("webhooks")
        .select(["position", "kinds", "campaign_id"])
        .where("id", "=", id)
        .where("is_enabled", "=", true)
        .forUpdate()
        .skipLocked()
        .executeTakeFirst();
      if (webhook === undefined) return 0;
      const events = await transaction
        .selectFrom("events")
        .selectAll()
        .where("id", ">", webhook.position)
        .orderBy("id")
        .limit(EVENTS_AT_ONCE)
        .execute();
      const last = events.at(-1);
      if (last === undefined) return 0;
      const { kinds, campaign_id } = webhook;
      const wanted = events
        .filter(({ kind }) => kinds.length === 0 || kinds.includes(kind))
        .filter((event) => campaign_id === null || event.campaign_id === campaign_id)
        .map(toEvent);
      await sql`
        insert into webhook_deliveries (id, webhook_id, event_id, kind, body)
        select ${id} || '-' || event_id, ${id}, event_id, kind, body from unnest(
          ${wanted.map((event) => event.id)}::bigint[],
          ${wanted.map((event) => event.kind)}::text[],
          ${wanted.map((event) => JSON.stringify({ type: event.kind, timestamp: event.at, data: event }))}::text[]
        ) as new(event_id, kind, body)
        on conflict do nothing`.execute(transaction);
      await transaction.updateTable("webhooks").set({ position: last.id }).where("id", "=", id).execute();
      return events.length;
    });
  }
}

interface TakenRow {
  readonly id: string;
  readonly webhook_id: string;
  readonly kind: string;
  readonly body: string;
  readonly attempts: number;
  readonly url: string;
  readonly secret: Buffer;
  readonly key_version: string;
  readonly age_ms: number;
}

async function writeOutcomes(transaction: Kysely<Tables>, attempts: readonly SettledAttempt[]): Promise<void> {
  const outcomes = attempts.map(({ outcome }) => outcome);
  await sql`
    update webhook_deliveries d set lease_until = null, status = new.status, state = new.state, problem = new.problem,
      next_at = now() + new.after_ms * interval '1 millisecond',
      finished_at = case when new.state <> 'waiting' then now() end
    from unnest(
      ${attempts.map(({ id }) => id)}::text[],
      ${outcomes.map(({ status }) => status)}::integer[],
      ${outcomes.map(({ kind }) => (kind === "again" ? "waiting" : kind))}::text[],
      ${outcomes.map((one) => (one.kind === "delivered" ? null : one.problem))}::text[],
      ${outcomes.map((one) => (one.kind === "again" ? one.afterMs : 0))}::double precision[]
    ) as new(id, status, state, problem, after_ms)
    where d.id = new.id and d.state = 'waiting'`.execute(transaction);
}

/** Has webhooks rest whose receivers are gone; one that has got another address meanwhile goes on. */
async function disable(transaction: Kysely<Tables>, gone: readonly SettledAttempt[]): Promise<void> {
  if (gone.length === 0) return;
  const reason = `its receiver answered ${GONE} Gone: it wants to hear nothing more`;
  const { rows } = await sql<{ id: string; url: string }>`
    update webhooks w set is_enabled = false, disabled_reason = ${reason}
    from (select distinct * from unnest(
      ${gone.map(({ webhookId }) => webhookId)}::text[], ${gone.map(({ url }) => url)}::text[]) as g(id, url)) as gone
    where w.id = gone.id and w.url = gone.url and w.is_enabled returning w.id, w.url`.execute(transaction);
  await insertEvents(
    transaction,
    rows.map(({ id, url }) => ({
      kind: "webhook.disabled",
      sentence: `webhook ${id} to ${new URL(url).host} was disabled: ${reason}`,
      facts: { webhookId: id },
    })),
  );
}
