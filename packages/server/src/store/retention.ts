/**
 * Deletes what is too old to be of use, some rows at a time, so that nothing waits for it. One server does it at a time.
 * The audit log is never touched.
 */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Tables } from "./tables.ts";

/** How long records are kept, in milliseconds; null = for ever. */
export interface RetentionLimits {
  /** Events of updates and campaigns that have not ended are kept whatever their age. */
  readonly eventsMs: number | null;
  /** The newest so many events are kept and no more; null = any number. */
  readonly eventCount: number | null;
  /** Since an update ended. */
  readonly updatesMs: number | null;
  /** Since the update that they belong to ended. */
  readonly exchangesMs: number | null;
  /** Since the campaign ended; its own row, with the counts of its waves, stays. */
  readonly campaignTargetsMs: number | null;
  /** Requests to devices, and deliveries to webhooks, since they ended. */
  readonly requestsMs: number | null;
}

const DAY_MS = 86_400_000;

/** Half a year of timelines, a year of outcomes, a month of what helps to find a fault. */
export const DEFAULT_RETENTION: RetentionLimits = {
  eventsMs: 180 * DAY_MS,
  eventCount: null,
  updatesMs: 365 * DAY_MS,
  exchangesMs: 30 * DAY_MS,
  campaignTargetsMs: 365 * DAY_MS,
  requestsMs: 30 * DAY_MS,
};

/** Rows deleted, by what they were. */
export interface Swept {
  events: number;
  exchanges: number;
  updates: number;
  campaignTargets: number;
  deviceRequests: number;
  webhookDeliveries: number;
  keptAnswers: number;
}

/** Names the lock that the server holds which deletes a batch. */
const RETENTION_LOCK = 7_104_531_890;
/** Rows of one transaction: some milliseconds of locks. */
const BATCH_ROWS = 1000;
const KEPT_ANSWERS_MS = DAY_MS;
const FINAL_CAMPAIGN = sql`('finished', 'stopped', 'aborted')`;

export class Retention {
  readonly #tables: Kysely<Tables>;
  readonly #limits: RetentionLimits;
  readonly #batchRows: number;

  constructor(tables: Kysely<Tables>, limits: RetentionLimits = DEFAULT_RETENTION, batchRows: number = BATCH_ROWS) {
    this.#tables = tables;
    this.#limits = limits;
    this.#batchRows = batchRows;
  }

  /**
   * Deletes all that is too old by now.
   *
   * @param isStopped Asked between two batches: what is left is for the next time.
   * @returns How many rows went; none while another server is at it.
   */
  async sweep(utcMs: number, isStopped: () => boolean = () => false): Promise<Swept> {
    const { eventsMs, updatesMs, exchangesMs, campaignTargetsMs, requestsMs } = this.#limits;
    const drain = async (ageMs: number | null, erase: Erase): Promise<number> => {
      if (ageMs === null) return 0;
      let total = 0;
      for (let count = -1; count !== 0 && !isStopped(); total += count)
        count = await this.#batch((transaction) => erase(transaction, at(utcMs - ageMs), this.#batchRows));
      return total;
    };
    return {
      exchanges: await drain(exchangesMs, eraseExchanges),
      updates: await drain(updatesMs, eraseUpdates),
      campaignTargets: await drain(campaignTargetsMs, eraseTargets),
      deviceRequests: await drain(requestsMs, eraseFinished("device_requests")),
      webhookDeliveries: await drain(requestsMs, eraseFinished("webhook_deliveries")),
      keptAnswers: await drain(KEPT_ANSWERS_MS, eraseAnswers),
      events: await this.#sweepEvents(eventsMs === null ? null : utcMs - eventsMs, isStopped),
    };
  }

  /** Walks along the ids from the oldest event on: what is still needed is passed over. */
  async #sweepEvents(beforeMs: number | null, isStopped: () => boolean): Promise<number> {
    const newest = await this.#newestBeyondCount();
    if (beforeMs === null && newest === null) return 0;
    const before = beforeMs === null ? sql`'-infinity'::timestamptz` : at(beforeMs);
    let total = 0;
    for (let position = 0; !isStopped(); ) {
      const [step] = await this.#batchOf<{ seen: number | null; erased: number }>(sql`
        with page as (
          select id, update_id, campaign_id from events
          where id > ${position} and (at < ${before} or id <= ${newest ?? 0}) order by id limit ${this.#batchRows}),
        erased as (
          delete from events using page where events.id = page.id
            and not exists (select from updates u where u.id = page.update_id and u.finished_at is null)
            and not exists (select from campaigns c where c.id = page.campaign_id and c.state not in ${FINAL_CAMPAIGN})
          returning 1)
        select (select max(id) from page) as seen, (select count(*) from erased) as erased`);
      if (step === undefined || step.seen === null) break;
      position = step.seen;
      total += step.erased;
    }
    return total;
  }

  /** The newest event that is too many; null when there are few enough. */
  async #newestBeyondCount(): Promise<number | null> {
    const { eventCount } = this.#limits;
    if (eventCount === null) return null;
    const { rows } = await sql<{ id: number }>`
      select id from events order by id desc offset ${eventCount} limit 1`.execute(this.#tables);
    return rows[0]?.id ?? null;
  }

  async #batch(erase: (transaction: Kysely<Tables>) => Promise<number>): Promise<number> {
    return await this.#tables.transaction().execute(async (transaction) => {
      const { rows } = await sql<{ held: boolean }>`
        select pg_try_advisory_xact_lock(${RETENTION_LOCK}) as held`.execute(transaction);
      return rows[0]?.held === true ? await erase(transaction) : 0;
    });
  }

  async #batchOf<Row>(statement: RawBuilder<unknown>): Promise<Row[]> {
    let found: Row[] = [];
    await this.#batch(async (transaction) => {
      found = (await statement.execute(transaction)).rows as Row[];
      return found.length;
    });
    return found;
  }
}

/** Deletes up to `limit` rows that ended before a moment; 0 = there are none left. */
type Erase = (transaction: Kysely<Tables>, before: RawBuilder<unknown>, limit: number) => Promise<number>;

const at = (utcMs: number) => sql`${new Date(utcMs).toISOString()}::timestamptz`;

const countOf = async (statement: RawBuilder<unknown>, transaction: Kysely<Tables>): Promise<number> =>
  Number((await statement.execute(transaction)).numAffectedRows ?? 0n);

/** Update by update: 200 exchanges each at most. */
const eraseExchanges: Erase = (transaction, before, limit) =>
  countOf(
    sql`with old as (
        select id from updates where finished_at < ${before} and has_exchanges
        order by finished_at limit ${Math.ceil(limit / 20)} for update skip locked),
      gone as (delete from exchanges using old where update_id = old.id)
      update updates set has_exchanges = false from old where updates.id = old.id`,
    transaction,
  );

/** Those of a campaign that goes on are still counted by it. */
const eraseUpdates: Erase = (transaction, before, limit) =>
  countOf(
    sql`delete from updates where id in (
      select u.id from updates u left join campaigns c on c.id = u.campaign_id
      where u.finished_at < ${before} and (c.id is null or c.state in ${FINAL_CAMPAIGN})
      order by u.finished_at limit ${limit})`,
    transaction,
  );

const eraseTargets: Erase = (transaction, before, limit) =>
  countOf(
    sql`delete from campaign_targets where (campaign_id, endpoint) in (
      select t.campaign_id, t.endpoint from campaigns c cross join lateral (
        select campaign_id, endpoint from campaign_targets where campaign_id = c.id limit ${limit}) t
      where c.state in ${FINAL_CAMPAIGN} and c.updated_at < ${before} limit ${limit})`,
    transaction,
  );

const eraseFinished =
  (table: "device_requests" | "webhook_deliveries"): Erase =>
  (transaction, before, limit) =>
    countOf(
      sql`delete from ${sql.table(table)} where id in (
        select id from ${sql.table(table)} where finished_at < ${before} order by finished_at limit ${limit})`,
      transaction,
    );

const eraseAnswers: Erase = (transaction, before, limit) =>
  countOf(
    sql`delete from kept_answers where key in (
      select key from kept_answers where created_at < ${before} order by created_at limit ${limit})`,
    transaction,
  );
