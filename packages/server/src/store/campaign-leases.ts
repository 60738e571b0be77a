/** What one server at a time does for campaigns: a turn that is due, an order that waits. A dead server's lease runs out. */
import { type Kysely, type RawBuilder, type Selectable, sql } from "kysely";
import type { LeasedOrder } from "../campaign/store-ports.ts";
import type { CampaignTargetTable } from "./campaign-tables.ts";
import { storableJson, storableText } from "./database.ts";
import type { Tables } from "./tables.ts";
import { toTarget } from "./target-rows.ts";

/** A campaign that a server took stays its own for so long, unless the turn ends before. */
const TURN_LEASE = sql`interval '5 seconds'`;
/** An order that a server took leaves again after this, if nobody said that it is done. */
const ORDER_LEASE = sql`interval '30 seconds'`;

export class CampaignLeases {
  readonly #tables: Kysely<Tables>;
  readonly #nodeId: string;

  /** @param nodeId The server that this one is. */
  constructor(tables: Kysely<Tables>, nodeId: string) {
    this.#tables = tables;
    this.#nodeId = nodeId;
  }

  /** As `CampaignStore.takeDue`. */
  async takeDue(utcMs: number, limit: number): Promise<readonly string[]> {
    const { rows } = await sql<{ id: string }>`
      with due as (
        select id from campaigns
        where wake_at_ms <= ${utcMs} and (taken_until is null or taken_until < now())
        order by wake_at_ms limit ${limit} for no key update skip locked)
      update campaigns set taken_until = now() + ${TURN_LEASE} from due where campaigns.id = due.id
      returning campaigns.id`.execute(this.#tables);
    return rows.map(({ id }) => id);
  }

  /** As `CampaignStore.takeOrders`; what is for a device at another server that lives is left to that one. */
  async takeOrders(limit: number): Promise<readonly LeasedOrder[]> {
    // Whoever is to stop, or to wait, is few and hears it first; what else waits while its campaign is paused is not looked at.
    const restraints = await this.#take(sql`t.waiting_order ->> 'kind' in ('cancel', 'hold')`, limit);
    const others = await this.#take(
      sql`t.waiting_order ->> 'kind' in ('begin', 'apply') and c.state = 'running' and t.wave = any(c.open_waves)`,
      limit - restraints.length,
    );
    return [...restraints, ...others];
  }

  async #take(which: RawBuilder<unknown>, limit: number): Promise<readonly LeasedOrder[]> {
    if (limit === 0) return [];
    const { rows } = await sql<Selectable<CampaignTargetTable>>`
      with due as (
        select t.campaign_id, t.endpoint from campaigns c join campaign_targets t on t.campaign_id = c.id
        where t.waiting_order is not null and (t.order_until is null or t.order_until < now()) and ${which}
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

  /** As `CampaignStore.orderDone`. */
  async orderDone(campaignId: string, endpoint: string, order: LeasedOrder["order"]): Promise<void> {
    await sql`update campaign_targets set waiting_order = null, order_until = null
      where campaign_id = ${campaignId} and endpoint = ${storableText(endpoint)}
        and waiting_order = ${storableJson(order)}::jsonb`.execute(this.#tables);
  }
}
