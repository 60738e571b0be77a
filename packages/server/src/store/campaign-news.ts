/** What devices and their updates have for campaigns to hear: who appeared, who joins, what was not told. */
import { type Kysely, sql } from "kysely";
import type { UpdateNews } from "../campaign/follow-update.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import { decodePolicy } from "./campaign-policy.ts";
import { storableText } from "./database.ts";
import type { Tables } from "./tables.ts";

/** What an attempt's update has come to, for the campaign that has not heard of it. */
export interface UnheardNews extends UpdateNews {
  readonly campaignId: string;
  readonly endpoint: string;
  /** Of the update; the next page begins behind it. */
  readonly seq: number;
}

export interface UnheardPage {
  /** Updates that changed within this time are left out: whoever changed them is telling it. */
  readonly quietMs: number;
  /** `seq` of the last one that was found; 0 = from the beginning. */
  readonly afterSeq: number;
  readonly limit: number;
}

export class CampaignNews {
  readonly #tables: Kysely<Tables>;

  constructor(tables: Kysely<Tables>) {
    this.#tables = tables;
  }

  /** As `CampaignStore.continuous`. */
  async continuous(): Promise<readonly { readonly campaignId: string; readonly policy: CampaignPolicy }[]> {
    const rows = await this.#tables
      .selectFrom("campaigns")
      .select(["id", "policy"])
      .where("state", "in", ["running", "paused"])
      .where(sql<boolean>`(policy ->> 'isContinuous')::boolean`)
      .execute();
    return rows.map(({ id, policy }) => ({ campaignId: id, policy: decodePolicy(policy) }));
  }

  /** As `CampaignStore.strangers`. */
  async strangers(campaignId: string, endpoints: readonly string[]): Promise<readonly string[]> {
    const { rows } = await sql<{ endpoint: string }>`
      select endpoint from unnest(${endpoints.map(storableText)}::text[]) as heard(endpoint)
      where not exists (select from campaign_targets t where t.campaign_id = ${campaignId} and t.endpoint = heard.endpoint)`.execute(
      this.#tables,
    );
    return rows.map(({ endpoint }) => endpoint);
  }

  /** As `CampaignStore.wakeDevices`. */
  async wakeDevices(endpoints: readonly string[], utcMs: number): Promise<void> {
    const heard = sql`t.endpoint = any(${endpoints.map(storableText)}::text[]) and t.phase in ('pending', 'held')`;
    await this.#tables.transaction().execute(async (transaction) => {
      // A turn may put off at this moment whom it has seen absent: the next statement sees what it wrote.
      const { rows } = await sql<{ id: string }>`
        select id from campaigns where state in ('running', 'paused')
          and id in (select t.campaign_id from campaign_targets t where ${heard})
        order by id for update`.execute(transaction);
      if (rows.length === 0) return;
      await sql`
        with woken as (
          update campaign_targets t set not_before_ms = null
          where ${heard} and t.campaign_id = any(${rows.map(({ id }) => id)}::text[]) and t.not_before_ms is not null
          returning t.campaign_id)
        update campaigns set wake_at_ms = least(coalesce(wake_at_ms, ${utcMs}), ${utcMs}::bigint)
        where id in (select campaign_id from woken)`.execute(transaction);
    });
  }

  /**
   * Attempts whose campaign stands elsewhere than their update: what was stored when a server ended before it could tell the campaign. By
   * the age of their updates, so that one after the other has its turn however many there are.
   */
  async unheard({ quietMs, afterSeq, limit }: UnheardPage): Promise<UnheardNews[]> {
    const { rows } = await sql<UnheardNews>`
      select t.campaign_id as "campaignId", t.endpoint, t.attempt, u.state, u.failure, u.sentence, u.seq,
        u.acknowledged_bytes as "acknowledgedBytes"
      from campaign_targets t
      join updates u on u.campaign_id = t.campaign_id and u.endpoint = t.endpoint and u.attempt = t.attempt
      where t.phase in ('active', 'held') and u.state <> t.state and u.state <> 'queued' and u.seq > ${afterSeq}
        and u.updated_at <= now() - ${quietMs}::double precision * interval '1 millisecond'
      order by u.seq limit ${limit}`.execute(this.#tables);
    return rows;
  }
}
