/** The broadcasts: planned with their orders and updates in one transaction, followed by what gateways tell. */
import type { SessionOutcome, SessionProgress } from "@airlift/protocol/api/gateway";
import type { BroadcastSection, MeshSession } from "@airlift/protocol/api/mesh";
import { type Kysely, type Selectable, sql } from "kysely";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import { storableJson, storableText } from "./database.ts";
import type { GatewayStore, NewOrder, OrderNumber } from "./gateway-store.ts";
import type { Journal } from "./journal.ts";
import type { MeshSessionTable } from "./mesh-tables.ts";
import { changeMeshUpdates, type MeshChange, type MeshReport } from "./mesh-updates.ts";
import type { NewEvent, Page, PageRequest } from "./ports.ts";
import type { Tables } from "./tables.ts";
import { requirePermit } from "./update-permits.ts";

export type NewSession = Pick<
  MeshSession,
  "id" | "campaignId" | "imageId" | "groupId" | "gatewayId" | "cells" | "deviceCount" | "windows" | "plannedAirtimeMs"
> & { readonly updateAtMs: number };

/** All that one decision changes. */
export interface MeshWork {
  readonly sessions?: readonly NewSession[];
  readonly orders?: readonly NewOrder[];
  /** Orders that do not count any more: a gateway that has not got them does not get them. */
  readonly withdrawn?: readonly OrderNumber[];
  readonly changes?: readonly MeshChange[];
  readonly events?: readonly NewEvent[];
  /** Updates whose devices are told to install by this: nothing is done unless their campaigns let all of them. */
  readonly installing?: readonly string[];
  /** Sessions that are over for us. */
  readonly ended?: readonly { readonly id: string; readonly outcome: SessionOutcome; readonly detail: string | null }[];
}

export class MeshSessions {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #gateways: GatewayStore;

  constructor(tables: Kysely<Tables>, journal: Journal, gateways: GatewayStore) {
    this.#tables = tables;
    this.#journal = journal;
    this.#gateways = gateways;
  }

  /** All or nothing; the gateways are told when it is on record. @throws {UsageError} CAMPAIGN_PERMIT */
  async record(work: MeshWork): Promise<readonly MeshReport[]> {
    const { sessions = [], orders = [], withdrawn = [], changes = [], events = [], ended = [], installing = [] } = work;
    const gatewayIds = orders.map(({ gatewayId }) => gatewayId);
    const updateIds = changes.map(({ updateId }) => updateId);
    const { result } = await this.#journal.write(
      async (transaction) => {
        for (const updateId of installing) await requirePermit(transaction, updateId, true);
        for (const session of sessions) await insertSession(transaction, session);
        for (const { id, outcome, detail } of ended)
          await endSession(transaction, { id, outcome, detail, progress: null });
        await this.#gateways.withdraw(transaction, withdrawn);
        await this.#gateways.order(transaction, orders);
        const changed = await changeMeshUpdates(transaction, changes);
        return { result: changed.reports, events: [...events, ...changed.events] };
      },
      { gatewayIds, updateIds, steeredIds: installing },
    );
    this.#gateways.told(gatewayIds);
    return result;
  }

  async get(id: string): Promise<MeshSession | undefined> {
    const row = await this.#tables
      .selectFrom("mesh_sessions")
      .selectAll()
      .where("id", "=", storableText(id))
      .executeTakeFirst();
    return row && toSession(row);
  }

  /** Newest first. */
  async list(campaignId: string | undefined, page: PageRequest): Promise<Page<MeshSession>> {
    let query = this.#tables.selectFrom("mesh_sessions").selectAll();
    if (campaignId !== undefined) query = query.where("campaign_id", "=", storableText(campaignId));
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("seq", "desc")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toSession, position: (row) => row.seq });
  }

  /** Those that are on air, or are going to be. */
  async open(): Promise<(MeshSession & { readonly updateAtMs: number })[]> {
    const rows = await this.#tables.selectFrom("mesh_sessions").selectAll().where("ended_at", "is", null).execute();
    return rows.map((row) => ({ ...toSession(row), updateAtMs: row.update_at_ms }));
  }

  async broadcastOf(campaignId: string): Promise<BroadcastSection | null> {
    const { rows } = await sql<Omit<BroadcastSection, "deficits" | "budgets">>`
      select count(*)::integer as "sessionCount", (count(*) filter (where ended_at is null))::integer as "runningCount",
        coalesce(sum((progress ->> 'airtimeMs')::double precision), 0) as "airtimeUsedMs",
        coalesce(sum(planned_airtime_ms), 0) as "airtimePlannedMs"
      from mesh_sessions where campaign_id = ${campaignId}`.execute(this.#tables);
    const [sums] = rows;
    if (sums === undefined || sums.sessionCount === 0) return null;
    return { ...sums, budgets: await this.#budgetsOf(campaignId), deficits: await this.#deficitsOf(campaignId) };
  }

  async #budgetsOf(campaignId: string): Promise<BroadcastSection["budgets"]> {
    const { rows } = await sql<BroadcastSection["budgets"][number]>`
      select g.id as "gatewayId", l ->> 'band' as band, (l ->> 'budgetMs')::double precision as "budgetMs",
        greatest(0, (l ->> 'budgetMs')::double precision - (l ->> 'usedMs')::double precision) as "leftMs"
      from gateways g, jsonb_array_elements(coalesce(g.state -> 'ledgers', '[]')) l
      where g.id in (select gateway_id from mesh_sessions where campaign_id = ${campaignId}) order by g.id, band`.execute(
      this.#tables,
    );
    return rows;
  }

  /** By what each said of this image: the deficit on record may be that of an earlier one. */
  async #deficitsOf(campaignId: string): Promise<BroadcastSection["deficits"]> {
    const { rows } = await sql<BroadcastSection["deficits"]>`
      select (count(*) filter (where deficit = 0))::integer as "none",
        (count(*) filter (where deficit between 1 and 4))::integer as "to4",
        (count(*) filter (where deficit between 5 and 16))::integer as "to16",
        (count(*) filter (where deficit between 17 and 64))::integer as "to64",
        (count(*) filter (where deficit > 64))::integer as "more",
        (count(*) filter (where deficit is null))::integer as "unheard"
      from (select case when t.state in ('downloaded', 'waitingToApply', 'applying', 'confirming', 'succeeded', 'fellBack') then 0
          when t.state = 'transferring' then d.deficit end as deficit
        from campaign_targets t join mesh_devices d on d.endpoint = t.endpoint
        where t.campaign_id = ${campaignId} and t.attempt > 0) missing`.execute(this.#tables);
    return rows[0] as BroadcastSection["deficits"];
  }
}

async function insertSession(transaction: Kysely<Tables>, session: NewSession): Promise<void> {
  await transaction
    .insertInto("mesh_sessions")
    .values({
      id: session.id,
      campaign_id: session.campaignId,
      image_id: session.imageId,
      group_id: session.groupId,
      gateway_id: session.gatewayId,
      cells: session.cells,
      device_count: session.deviceCount,
      update_at_ms: session.updateAtMs,
      windows: storableJson(session.windows),
      planned_airtime_ms: session.plannedAirtimeMs,
    })
    .execute();
}

/** The newest of what a gateway says of a session that is not over. */
export async function noteProgress(
  transaction: Kysely<Tables>,
  gatewayId: string,
  progress: SessionProgress,
): Promise<void> {
  await transaction
    .updateTable("mesh_sessions")
    .set({ progress: storableJson(progress) })
    .where("id", "=", storableText(progress.sessionId))
    .where("gateway_id", "=", gatewayId)
    .execute();
}

/** Its orders are over as well. */
export async function endSession(
  transaction: Kysely<Tables>,
  {
    id,
    outcome,
    detail,
    progress,
  }: { id: string; outcome: SessionOutcome; detail: string | null; progress: SessionProgress | null },
): Promise<void> {
  await transaction
    .updateTable("mesh_sessions")
    .set({
      outcome,
      detail: detail === null ? null : storableText(detail),
      ended_at: new Date(),
      ...(progress !== null && { progress: storableJson(progress) }),
    })
    .where("id", "=", storableText(id))
    .where("ended_at", "is", null)
    .execute();
  await sql`update gateway_orders set is_over = true where session_id = ${storableText(id)}
    and content -> 'order' ->> 'kind' = 'transmit'`.execute(transaction);
}

const toSession = (row: Selectable<MeshSessionTable>): MeshSession => ({
  id: row.id,
  campaignId: row.campaign_id,
  imageId: row.image_id,
  groupId: row.group_id,
  gatewayId: row.gateway_id,
  cells: row.cells,
  deviceCount: row.device_count,
  windows: row.windows,
  plannedAirtimeMs: row.planned_airtime_ms,
  progress: row.progress,
  outcome: row.outcome,
  detail: row.detail,
  createdAt: row.created_at.toISOString(),
  endedAt: row.ended_at?.toISOString() ?? null,
});
