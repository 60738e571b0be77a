/**
 * Campaigns: one row with the rules' value, locked while a turn works on it, and a row for each device. A turn's targets,
 * events and value are one transaction.
 */
import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CampaignState } from "@airlift/protocol/update/campaign";
import { type Kysely, type Selectable, sql } from "kysely";
import { type Campaign, newCampaign, openWaves } from "../campaign/campaign.ts";
import type { UpdateNews } from "../campaign/follow-update.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import type { Query } from "../campaign/query/ast.ts";
import type {
  CampaignChange,
  CampaignStore,
  CampaignTransaction,
  DueQuery,
  LeasedOrder,
} from "../campaign/store-ports.ts";
import type { Target } from "../campaign/target.ts";
import { type DraftKey, deleteDraft, reviseDraft, revisionOf } from "./campaign-drafts.ts";
import { decodePolicy } from "./campaign-policy.ts";
import { fillRollback } from "./campaign-rollback.ts";
import { type CampaignOrder, insertCampaign, insertRollback, newCampaignId } from "./campaign-rows.ts";
import { joinTargets } from "./campaign-snapshot.ts";
import { decodeCursor, decodeNumberCursor, toPage } from "./cursor.ts";
import { storableJson, storableText } from "./database.ts";
import { insertEvents, type Journal } from "./journal.ts";
import { campaignDevices, type PlannedTarget, queriedDevices } from "./planned-devices.ts";
import type { NewEvent, Page, PageRequest } from "./ports.ts";
import type { CampaignTable, CampaignTargetTable, Tables } from "./tables.ts";
import { readCandidates, readTargets, toTarget, writeTargets } from "./target-rows.ts";

export interface CampaignStoreParts {
  readonly tables: Kysely<Tables>;
  readonly journal: Journal;
  /** The server that this one is. */
  readonly nodeId: string;
}

/** What an attempt's update has come to, for the campaign that has not heard of it. */
export interface UnheardNews extends UpdateNews {
  readonly campaignId: string;
  readonly endpoint: string;
}

/** A campaign as it is kept. */
export interface KeptCampaign {
  readonly campaign: Campaign;
  readonly policy: CampaignPolicy;
  readonly spec: CampaignSpec;
  /** The campaign that undoes it, and the one that it undoes. */
  readonly rollbackId: string | null;
  readonly rollbackOf: string | null;
  /** Changes with everything above. */
  readonly revision: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A campaign that a server took stays its own for so long, unless the turn ends before. */
const TURN_LEASE = sql`interval '5 seconds'`;
/** An order that a server took leaves again after this, if nobody said that it is done. */
const ORDER_LEASE = sql`interval '30 seconds'`;
/** A turn that waits for another one longer than this is told that the database is busy. */
const LONGEST_LOCK_WAIT = sql`set local lock_timeout = '10s'`;

export class PostgresCampaignStore implements CampaignStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #nodeId: string;

  constructor({ tables, journal, nodeId }: CampaignStoreParts) {
    this.#tables = tables;
    this.#journal = journal;
    this.#nodeId = nodeId;
  }

  /**
   * Keeps a campaign as a draft, with the devices that its query finds now dealt out into its waves; all or nothing.
   *
   * @param utcMs The moment that "-24h" counts from.
   * @throws {UsageError} QUERY_TOO_BROAD
   */
  async create({ spec, policy, createdBy, creatorId, rollback }: CampaignOrder, utcMs: number): Promise<KeptCampaign> {
    const id = newCampaignId();
    await this.#tables
      .transaction()
      .setIsolationLevel("repeatable read")
      .execute(async (transaction) => {
        const deviceCounts = await joinTargets(transaction, { campaignId: id, policy, utcMs });
        const campaign = newCampaign({ id, createdBy, creatorId }, policy, deviceCounts);
        await insertCampaign(transaction, { campaign, spec, policy, rollbackOf: null });
        await insertRollback(transaction, id, { createdBy, creatorId, rollback });
        const total = deviceCounts.reduce((sum, count) => sum + count, 0);
        const sentence = `campaign ${policy.name} was created for ${total} device${total === 1 ? "" : "s"}`;
        await insertEvents(transaction, [
          { kind: "campaign.transition", campaignId: id, sentence, facts: { createdBy } },
        ]);
      });
    await this.#journal.catchUp();
    return (await this.get(id)) as KeptCampaign;
  }

  /**
   * Puts another spec in a draft's place, with the devices that its query finds now; all or nothing.
   *
   * @param revision `KeptCampaign.revision` as it was seen; undefined = whatever it is.
   * @throws {UsageError} UNKNOWN_CAMPAIGN (404), CAMPAIGN_STATE (409), ETAG_MISMATCH (412), QUERY_TOO_BROAD
   */
  async revise(draft: DraftKey & { readonly order: CampaignOrder }, utcMs: number): Promise<KeptCampaign> {
    await this.#tables
      .transaction()
      .setIsolationLevel("repeatable read")
      .execute((transaction) => reviseDraft(transaction, draft, utcMs));
    await this.#journal.catchUp();
    return (await this.get(draft.campaignId)) as KeptCampaign;
  }

  /** @throws {UsageError} UNKNOWN_CAMPAIGN (404), CAMPAIGN_STATE (409), ETAG_MISMATCH (412) */
  async deleteDraft(draft: DraftKey, by: string): Promise<void> {
    await this.#tables.transaction().execute((transaction) => deleteDraft(transaction, draft, by));
    await this.#journal.catchUp();
  }

  /** The devices that a plan is made over: a campaign's own, or those that a query finds. */
  planned(
    of: { readonly campaignId: string } | { readonly query: Query },
    utcMs: number,
  ): AsyncIterable<PlannedTarget> {
    return "campaignId" in of
      ? campaignDevices(this.#tables, of.campaignId)
      : queriedDevices(this.#tables, { query: of.query, utcMs });
  }

  /** How many campaigns stand where. */
  async countByState(): Promise<readonly { readonly state: CampaignState; readonly count: number }[]> {
    return await this.#tables
      .selectFrom("campaigns")
      .select(["state", ({ fn }) => fn.countAll<number>().as("count")])
      .groupBy("state")
      .execute();
  }

  async get(campaignId: string): Promise<KeptCampaign | undefined> {
    const row = await selectCampaigns(this.#tables).where("id", "=", storableText(campaignId)).executeTakeFirst();
    return row && toKept(row);
  }

  /** Newest first. */
  async list(state: CampaignState | undefined, page: PageRequest): Promise<Page<KeptCampaign>> {
    let query = selectCampaigns(this.#tables);
    if (state !== undefined) query = query.where("state", "=", state);
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("seq", "desc")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toKept, position: (row) => row.seq });
  }

  /** The devices of a campaign by endpoint. */
  async targets(
    campaignId: string,
    { state, wave }: { readonly state?: Target["state"] | undefined; readonly wave?: number | undefined },
    page: PageRequest,
  ): Promise<Page<Target>> {
    let query = this.#tables.selectFrom("campaign_targets").selectAll().where("campaign_id", "=", campaignId);
    if (state !== undefined) query = query.where("state", "=", state);
    if (wave !== undefined) query = query.where("wave", "=", wave);
    if (page.cursor !== undefined) query = query.where("endpoint", ">", decodeCursor(page.cursor));
    const rows = await query
      .orderBy("endpoint")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toTarget, position: (row) => row.endpoint });
  }

  /** The update of each device's newest attempt, by endpoint; a device without one is absent. */
  async updateIds(campaignId: string, endpoints: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { rows } = await sql<{ endpoint: string; id: string }>`
      select distinct on (endpoint) endpoint, id from updates
      where campaign_id = ${campaignId} and endpoint = any(${endpoints}::text[])
      order by endpoint, attempt desc, seq desc`.execute(this.#tables);
    return new Map(rows.map(({ endpoint, id }) => [endpoint, id]));
  }

  async transact<T>(campaignId: string, work: (transaction: CampaignTransaction) => Promise<T>): Promise<T> {
    let isNews = false;
    const result = await this.#tables.transaction().execute(async (transaction) => {
      await LONGEST_LOCK_WAIT.execute(transaction);
      const row = await transaction
        .selectFrom("campaigns")
        .select(["value", "policy"])
        .where("id", "=", storableText(campaignId))
        .forUpdate()
        .executeTakeFirst();
      if (row === undefined)
        throw new UsageError("UNKNOWN_CAMPAIGN", `there is no campaign ${campaignId}`, { campaignId });
      const turn = new TurnTransaction(transaction, { campaign: row.value, policy: decodePolicy(row.policy) });
      const outcome = await work(turn);
      // At the very end: the lock on events is held until the commit and no longer.
      await insertEvents(transaction, turn.events);
      isNews = turn.events.length > 0;
      return outcome;
    });
    if (isNews) await this.#journal.catchUp();
    return result;
  }

  async takeDue(utcMs: number, limit: number): Promise<readonly string[]> {
    const { rows } = await sql<{ id: string }>`
      with due as (
        select id from campaigns
        where wake_at_ms <= ${utcMs} and (taken_until is null or taken_until < now())
        order by wake_at_ms limit ${limit} for update skip locked)
      update campaigns set taken_until = now() + ${TURN_LEASE} from due where campaigns.id = due.id
      returning campaigns.id`.execute(this.#tables);
    return rows.map(({ id }) => id);
  }

  async takeOrders(_utcMs: number, limit: number): Promise<readonly LeasedOrder[]> {
    const { rows } = await sql<Selectable<CampaignTargetTable>>`
      with due as (
        select t.campaign_id, t.endpoint from campaign_targets t join campaigns c on c.id = t.campaign_id
        where t.waiting_order is not null and (t.order_until is null or t.order_until < now())
          and (t.waiting_order ->> 'kind' = 'cancel' or (c.state = 'running' and t.wave = any(c.open_waves)))
          and not exists (
            select from devices join nodes on nodes.id = devices.node_id and nodes.lease_until > now()
            where devices.endpoint = t.endpoint and devices.node_id <> ${this.#nodeId})
        limit ${limit} for update of t skip locked)
      update campaign_targets t set order_until = now() + ${ORDER_LEASE} from due
      where t.campaign_id = due.campaign_id and t.endpoint = due.endpoint
      returning t.*`.execute(this.#tables);
    return rows.flatMap((row) => {
      const target = toTarget(row);
      return target.order === null ? [] : [{ target, order: target.order }];
    });
  }

  async orderDone(campaignId: string, endpoint: string, order: LeasedOrder["order"]): Promise<void> {
    await sql`update campaign_targets set waiting_order = null, order_until = null
      where campaign_id = ${campaignId} and endpoint = ${storableText(endpoint)}
        and waiting_order = ${storableJson(order)}::jsonb`.execute(this.#tables);
  }

  async continuous(): Promise<readonly { readonly campaignId: string; readonly policy: CampaignPolicy }[]> {
    const rows = await this.#tables
      .selectFrom("campaigns")
      .select(["id", "policy"])
      .where("state", "in", ["running", "paused"])
      .where(sql<boolean>`(policy ->> 'isContinuous')::boolean`)
      .execute();
    return rows.map(({ id, policy }) => ({ campaignId: id, policy: decodePolicy(policy) }));
  }

  async fillRollback(campaignId: string, utcMs: number): Promise<Campaign | undefined> {
    return await this.#tables.transaction().execute((transaction) => fillRollback(transaction, { campaignId, utcMs }));
  }

  wakeDevice(endpoint: string, utcMs: number): Promise<void> {
    return this.wakeDevices([endpoint], utcMs);
  }

  /** As `wakeDevice`, for all of these in one statement. */
  async wakeDevices(endpoints: readonly string[], utcMs: number): Promise<void> {
    await sql`
      with woken as (
        update campaign_targets t set not_before_ms = null from campaigns c
        where t.endpoint = any(${endpoints.map(storableText)}::text[]) and t.phase in ('pending', 'held')
          and c.id = t.campaign_id and c.state = 'running'
        returning t.campaign_id)
      update campaigns set wake_at_ms = least(coalesce(wake_at_ms, ${utcMs}), ${utcMs}::bigint)
      where id in (select campaign_id from woken)`.execute(this.#tables);
  }

  /**
   * Attempts whose campaign stands elsewhere than their update: what was stored when a server ended before it could tell the campaign.
   *
   * @param quietMs Updates that changed within this time are left out: whoever changed them is telling it.
   */
  async unheard(quietMs: number, limit: number): Promise<UnheardNews[]> {
    const { rows } = await sql<UnheardNews>`
      select t.campaign_id as "campaignId", t.endpoint, t.attempt, u.state, u.failure, u.sentence
      from campaign_targets t
      join updates u on u.campaign_id = t.campaign_id and u.endpoint = t.endpoint and u.attempt = t.attempt
      where t.phase in ('active', 'held') and u.state <> t.state and u.state <> 'queued'
        and u.updated_at <= now() - ${quietMs}::double precision * interval '1 millisecond'
      limit ${limit}`.execute(this.#tables);
    return rows;
  }
}

const selectCampaigns = (tables: Kysely<Tables>) =>
  tables
    .selectFrom("campaigns")
    .selectAll()
    .select(sql<string | null>`(select r.id from campaigns r where r.rollback_of = campaigns.id)`.as("rollback_id"));

class TurnTransaction implements CampaignTransaction {
  readonly campaign: Campaign;
  readonly policy: CampaignPolicy;
  /** What `save` left to be told. */
  events: NewEvent[] = [];
  readonly #transaction: Kysely<Tables>;

  constructor(transaction: Kysely<Tables>, { campaign, policy }: Pick<KeptCampaign, "campaign" | "policy">) {
    this.#transaction = transaction;
    this.campaign = campaign;
    this.policy = policy;
  }

  due({ waves, phase, utcMs, limit }: DueQuery) {
    return readCandidates(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.phase = ${sql.lit(phase)} and t.wave = any(${waves}::integer[])
        and (t.not_before_ms is null or t.not_before_ms <= ${utcMs})
        order by t.wave, t.order_key, t.endpoint limit ${limit}`,
    );
  }

  async nextDueAtMs(waves: readonly number[], utcMs: number): Promise<number | null> {
    const { rows } = await sql<{ at_ms: number | null }>`
      select min(not_before_ms) as at_ms from campaign_targets
      where campaign_id = ${this.campaign.id} and phase in ('pending', 'held') and wave = any(${waves}::integer[])
        and not_before_ms > ${utcMs}`.execute(this.#transaction);
    return rows[0]?.at_ms ?? null;
  }

  async stoppable(limit: number): Promise<Target[]> {
    const stoppable = (phase: string, order: string, most: number) =>
      readTargets(
        this.#transaction,
        sql`where t.campaign_id = ${this.campaign.id} and t.phase = ${sql.lit(phase)}
          and t.state not in ('applying', 'confirming') and coalesce(t.waiting_order ->> 'kind', '') <> 'cancel'
          order by ${sql.raw(order)} limit ${most}`,
      );
    const targets = await stoppable("active", "t.endpoint", limit);
    // An index each, the devices under way first.
    for (const phase of ["held", "pending"])
      targets.push(...(await stoppable(phase, "t.wave, t.order_key", limit - targets.length)));
    return targets;
  }

  retryable(limit: number): Promise<Target[]> {
    return readTargets(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.state in ('failed', 'silent', 'fellBack', 'cancelled')
        order by t.endpoint limit ${limit}`,
    );
  }

  async candidate(endpoint: string) {
    const [candidate] = await readCandidates(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.endpoint = ${storableText(endpoint)}`,
    );
    return candidate;
  }

  candidates(endpoints: readonly string[]) {
    return readCandidates(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.endpoint = any(${endpoints.map(storableText)}::text[])`,
    );
  }

  async save({ campaign, targets, joined, outputs }: CampaignChange): Promise<void> {
    const { wakeAtMs } = campaign;
    await this.#transaction
      .updateTable("campaigns")
      .set({
        state: campaign.state,
        value: storableJson(campaign),
        open_waves: openWaves(campaign),
        wake_at_ms: wakeAtMs === null ? null : Math.round(wakeAtMs),
        taken_until: null,
        updated_at: new Date(),
      })
      .where("id", "=", campaign.id)
      .execute();
    await writeTargets(this.#transaction, [...targets.map(({ after }) => after), ...joined]);
    this.events = eventsOf({ campaign, targets, joined, outputs });
  }
}

function eventsOf({ campaign, targets, outputs }: CampaignChange): NewEvent[] {
  const campaignId = campaign.id;
  const devices = targets
    .filter(({ before, after }) => before.sentence !== after.sentence)
    .map(({ after: { endpoint, wave, sentence, state, failure, attempt } }) => {
      const facts = { wave, state, attempt, ...(failure !== null && { failure }) };
      return { kind: "campaign.note" as const, campaignId, endpoint, sentence, facts };
    });
  const own = outputs.map(({ wave, sentence }): NewEvent => {
    if (wave === null) return { kind: "campaign.transition", campaignId, sentence, facts: { state: campaign.state } };
    return { kind: "wave.transition", campaignId, sentence, facts: { wave, state: campaign.waves[wave]?.state } };
  });
  return [...devices, ...own];
}

function toKept(row: Selectable<CampaignTable> & { rollback_id: string | null }): KeptCampaign {
  return {
    campaign: row.value,
    policy: decodePolicy(row.policy),
    spec: row.spec,
    rollbackId: row.rollback_id,
    rollbackOf: row.rollback_of,
    revision: revisionOf(row),
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
