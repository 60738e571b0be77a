/** Campaigns as operators look at them: one, a page of them, their devices. */
import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { CampaignState } from "@airlift/protocol/update/campaign";
import { type Kysely, type Selectable, sql } from "kysely";
import type { Campaign } from "../campaign/campaign.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import type { Target } from "../campaign/target.ts";
import { revisionOf } from "./campaign-drafts.ts";
import { decodePolicy } from "./campaign-policy.ts";
import type { CampaignTable } from "./campaign-tables.ts";
import { decodeCursor, decodeNumberCursor, toPage } from "./cursor.ts";
import { storableText } from "./database.ts";
import type { Page, PageRequest } from "./ports.ts";
import type { Tables } from "./tables.ts";
import { toTarget } from "./target-rows.ts";

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

/** Which devices of a campaign; what is undefined does not matter. */
export interface TargetFilter {
  readonly state?: Target["state"] | undefined;
  readonly wave?: number | undefined;
}

/** A device in a campaign. */
export interface CampaignOfDevice {
  readonly kept: KeptCampaign;
  readonly target: Target;
}

export class CampaignReading {
  readonly #tables: Kysely<Tables>;

  constructor(tables: Kysely<Tables>) {
    this.#tables = tables;
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
  async targets(campaignId: string, { state, wave }: TargetFilter, page: PageRequest): Promise<Page<Target>> {
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

  /** The campaigns that are running or paused and have this device, newest first. */
  async ofDevice(endpoint: string, page: PageRequest): Promise<Page<CampaignOfDevice>> {
    const own = this.#tables.selectFrom("campaign_targets").where("endpoint", "=", storableText(endpoint));
    let query = selectCampaigns(this.#tables)
      .where("state", "in", ["running", "paused"])
      .where("id", "in", own.select("campaign_id"));
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("seq", "desc")
      .limit(page.limit + 1)
      .execute();
    const ids = rows.map(({ id }) => id);
    const targets = ids.length === 0 ? [] : await own.selectAll().where("campaign_id", "in", ids).execute();
    const { items, next } = toPage(rows, page.limit, { item: toKept, position: (row) => row.seq });
    const inCampaign = new Map(targets.map((row) => [row.campaign_id, toTarget(row)]));
    return {
      items: items.flatMap((kept) => {
        const target = inCampaign.get(kept.campaign.id);
        return target === undefined ? [] : [{ kept, target }];
      }),
      next,
    };
  }

  /** The update of each device's newest attempt, by endpoint; a device without one is absent. */
  async updateIds(campaignId: string, endpoints: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { rows } = await sql<{ endpoint: string; id: string }>`
      select distinct on (endpoint) endpoint, id from updates
      where campaign_id = ${campaignId} and endpoint = any(${endpoints}::text[])
      order by endpoint, attempt desc, seq desc`.execute(this.#tables);
    return new Map(rows.map(({ endpoint, id }) => [endpoint, id]));
  }
}

const selectCampaigns = (tables: Kysely<Tables>) =>
  tables
    .selectFrom("campaigns")
    .selectAll()
    .select(sql<string | null>`(select r.id from campaigns r where r.rollback_of = campaigns.id)`.as("rollback_id"));

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
