/**
 * Campaigns: one row with the rules' value, locked while a turn works on it, and a row for each device. A turn's targets,
 * events and value are one transaction.
 */
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import { type Campaign, newCampaign } from "../campaign/campaign.ts";
import type { Query } from "../campaign/query/ast.ts";
import type { CampaignStore, CampaignTransaction, LeasedOrder } from "../campaign/store-ports.ts";
import { type DraftKey, deleteDraft, reviseDraft } from "./campaign-drafts.ts";
import { CampaignLeases } from "./campaign-leases.ts";
import { CampaignNews, type UnheardNews, type UnheardPage } from "./campaign-news.ts";
import { decodePolicy } from "./campaign-policy.ts";
import { CampaignReading, type KeptCampaign } from "./campaign-reading.ts";
import { fillRollback } from "./campaign-rollback.ts";
import { type CampaignOrder, insertCampaign, insertRollback, newCampaignId } from "./campaign-rows.ts";
import { joinTargets, snapshotText } from "./campaign-snapshot.ts";
import { CampaignTurn } from "./campaign-turn.ts";
import { storableText } from "./database.ts";
import { insertEvents } from "./event-rows.ts";
import type { Journal } from "./journal.ts";
import { campaignDevices, outsideDevices, type PlannedTarget, queriedDevices } from "./planned-devices.ts";
import type { Tables } from "./tables.ts";

export interface CampaignStoreParts {
  readonly tables: Kysely<Tables>;
  readonly journal: Journal;
  /** The server that this one is. */
  readonly nodeId: string;
}

/** A turn that waits for another one longer than this is told that the database is busy. */
const LONGEST_LOCK_WAIT = sql`set local lock_timeout = '10s'`;

export class PostgresCampaignStore extends CampaignReading implements CampaignStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #leases: CampaignLeases;
  readonly #news: CampaignNews;

  constructor({ tables, journal, nodeId }: CampaignStoreParts) {
    super(tables);
    this.#tables = tables;
    this.#journal = journal;
    this.#leases = new CampaignLeases(tables, nodeId);
    this.#news = new CampaignNews(tables);
  }

  /**
   * Keeps a campaign as a draft, with the devices that its query finds now dealt out into its waves; all or nothing.
   *
   * @param utcMs The moment that "-24h" counts from.
   * @throws {UsageError} QUERY_TOO_BROAD
   */
  async create({ spec, policy, author, rollback }: CampaignOrder, utcMs: number): Promise<KeptCampaign> {
    const createdBy = author.name;
    const id = newCampaignId();
    await this.#tables
      .transaction()
      .setIsolationLevel("repeatable read")
      .execute(async (transaction) => {
        const snapshot = await joinTargets(transaction, { campaignId: id, policy, utcMs });
        const campaign = newCampaign({ id, createdBy, creatorId: author.id }, policy, snapshot.sizes);
        await insertCampaign(transaction, { campaign, spec, policy, rollbackOf: null });
        await insertRollback(transaction, campaign, { rollback });
        const sentence = `campaign ${policy.name} was created for ${snapshotText(snapshot)}`;
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
   * @throws {UsageError} UNKNOWN_CAMPAIGN (404), CAMPAIGN_STATE (409), ETAG_MISMATCH (412), DRAFT_EDITORS (409), QUERY_TOO_BROAD
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

  /** The devices that a campaign's query finds now and that it does not have. */
  outsiders(of: { readonly campaignId: string; readonly query: Query }, utcMs: number): AsyncIterable<PlannedTarget> {
    return outsideDevices(this.#tables, { ...of, utcMs });
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
      const turn = new CampaignTurn(transaction, { campaign: row.value, policy: decodePolicy(row.policy) });
      const outcome = await work(turn);
      // At the very end: the lock on events is held until the commit and no longer.
      await insertEvents(transaction, turn.events);
      isNews = turn.events.length > 0;
      return outcome;
    });
    if (isNews) await this.#journal.catchUp();
    return result;
  }

  takeDue(utcMs: number, limit: number): Promise<readonly string[]> {
    return this.#leases.takeDue(utcMs, limit);
  }

  takeOrders(_utcMs: number, limit: number): Promise<readonly LeasedOrder[]> {
    return this.#leases.takeOrders(limit);
  }

  orderDone(campaignId: string, endpoint: string, order: LeasedOrder["order"]): Promise<void> {
    return this.#leases.orderDone(campaignId, endpoint, order);
  }

  continuous() {
    return this.#news.continuous();
  }

  strangers(campaignId: string, endpoints: readonly string[]): Promise<readonly string[]> {
    return this.#news.strangers(campaignId, endpoints);
  }

  wakeDevices(endpoints: readonly string[], utcMs: number): Promise<void> {
    return this.#news.wakeDevices(endpoints, utcMs);
  }

  /** As `CampaignNews.unheard`. */
  unheard(page: UnheardPage): Promise<readonly UnheardNews[]> {
    return this.#news.unheard(page);
  }

  async fillRollback(campaignId: string, utcMs: number): Promise<Campaign | undefined> {
    const order = { campaignId, utcMs };
    const rollback = await this.#tables.transaction().execute((transaction) => fillRollback(transaction, order));
    await this.#journal.catchUp();
    return rollback;
  }
}
