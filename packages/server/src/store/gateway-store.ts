/** The gateways, what each is told, and the airtime it says it used. */

import type { GatewayOrder, GatewayState } from "@airlift/protocol/api/gateway";
import type { AirtimeSeries, CreatedGateway, Gateway, NewGateway } from "@airlift/protocol/api/mesh";
import { NewGateway as NewGatewaySchema } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type Selectable, sql } from "kysely";
import { storableJson, storableText } from "./database.ts";
import type { Journal } from "./journal.ts";
import type { MeshSecrets } from "./mesh-secrets.ts";
import type { ApplyOrder, GatewayTable, StoredOrder } from "./mesh-tables.ts";
import type { Tables } from "./tables.ts";
import { insertGatewayToken, revokeGatewayTokens } from "./token-store.ts";

/** A gateway that was silent for longer is taken to be away. */
const ONLINE_MS = 120_000;
/** Orders that one gateway may have open; an older server's leftovers do not pile up. */
const MOST_OPEN_ORDERS = 10_000;
const AIRTIME_KEPT = sql`interval '2 days'`;

export interface NewOrder {
  readonly gatewayId: string;
  readonly content: StoredOrder;
  readonly sessionId: string | null;
}

/** Which order of which gateway. */
export interface OrderNumber {
  readonly gatewayId: string;
  readonly number: number;
}

/** A word to install that is not known to be on air. */
export interface OpenApply extends OrderNumber, ApplyOrder {
  /** The gateway drops it then. */
  readonly untilMs: number;
}

export class GatewayStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #secrets: MeshSecrets;
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(tables: Kysely<Tables>, journal: Journal, secrets: MeshSecrets) {
    this.#tables = tables;
    this.#journal = journal;
    this.#secrets = secrets;
  }

  /** With its token, or not at all. @throws {UsageError} GATEWAY_EXISTS (409) */
  async add(asked: NewGateway): Promise<CreatedGateway> {
    const { id, cells, band, rateBps, loss } = NewGatewaySchema.parse(asked);
    const { result: token } = await this.#journal.write(async (transaction) => {
      const row = await transaction
        .insertInto("gateways")
        .values({ id, cells, band, rate_bps: rateBps, loss })
        .onConflict((conflict) => conflict.doNothing())
        .returning("id")
        .executeTakeFirst();
      if (row === undefined) throw new UsageError("GATEWAY_EXISTS", `there is a gateway ${id} already`, { id });
      const sentence = `the gateway ${id} was added for the cells ${cells.join(", ")}`;
      const { text, events } = await insertGatewayToken(transaction, id);
      return {
        result: text,
        events: [{ kind: "gateway.added", sentence, facts: { gatewayId: id, cells, band } } as const, ...events],
      };
    });
    return { ...(await this.get(id)), token };
  }

  /** @throws {UsageError} UNKNOWN_GATEWAY (404) */
  async get(id: string): Promise<Gateway> {
    const [gateway] = await this.#read(sql`where g.id = ${storableText(id)}`);
    if (gateway === undefined) throw unknown(id);
    return gateway;
  }

  async list(): Promise<Gateway[]> {
    return await this.#read(sql`order by g.id`);
  }

  /** With its orders and tokens. @throws {UsageError} UNKNOWN_GATEWAY (404) */
  async remove(id: string): Promise<void> {
    await this.#journal.write(
      async (transaction) => {
        const row = await transaction.deleteFrom("gateways").where("id", "=", id).returning("id").executeTakeFirst();
        if (row === undefined) throw unknown(id);
        const sentence = `the gateway ${id} was removed`;
        // Who takes a gateway down may do so because it was stolen: its token must not speak for the next one of this name.
        const revoked = await revokeGatewayTokens(transaction, id);
        return {
          result: undefined,
          events: [{ kind: "gateway.removed", sentence, facts: { gatewayId: id } }, ...revoked],
        };
      },
      { gatewayIds: [id] },
    );
  }

  /** Puts orders on record, numbered in this order for each gateway. Call `told` with the gateways once that is committed. */
  async order(transaction: Kysely<Tables>, orders: readonly NewOrder[]): Promise<void> {
    for (const { gatewayId, content, sessionId } of orders) {
      const { last_order } = await transaction
        .updateTable("gateways")
        .set({ last_order: sql<number>`last_order + 1` })
        .where("id", "=", gatewayId)
        .returning("last_order")
        .executeTakeFirstOrThrow();
      await transaction
        .insertInto("gateway_orders")
        .values({ gateway_id: gatewayId, number: last_order, content: storableJson(content), session_id: sessionId })
        .execute();
    }
  }

  /** Orders after `afterNumber` that are not over, in their order, with the keys they need. */
  async openOrders(gatewayId: string, afterNumber: number): Promise<GatewayOrder[]> {
    const rows = await this.#tables
      .selectFrom("gateway_orders")
      .select(["number", "content"])
      .where("gateway_id", "=", gatewayId)
      .where("number", ">", afterNumber)
      .where("is_over", "=", false)
      .orderBy("number")
      .limit(MOST_OPEN_ORDERS)
      .execute();
    const places = rows.flatMap(({ content }) => content.channelPlace ?? []);
    const keys = await this.#secrets.getMany([...new Set(places)]);
    return rows.map(({ number, content: { order, channelPlace } }) => {
      const channel = channelPlace === null ? undefined : keys.get(channelPlace);
      if (order.kind !== "transmit" || channel === undefined) return { number, order };
      const { key, iv } = channel;
      const pollChannel = {
        ...order.pollChannel,
        key: Buffer.from(key).toString("hex"),
        iv: Buffer.from(iv).toString("hex"),
      };
      return { number, order: { ...order, pollChannel } };
    });
  }

  /** Words to install that no gateway has told the end of. */
  async openApplies(): Promise<OpenApply[]> {
    const { rows } =
      await sql<OpenApply>`select gateway_id as "gatewayId", number, content -> 'apply' ->> 'groupId' as "groupId",
        content -> 'apply' -> 'updateIds' as "updateIds", (content -> 'order' -> 'window' ->> 'untilMs')::double precision as "untilMs"
      from gateway_orders where not is_over and content ? 'apply' order by gateway_id, number`.execute(this.#tables);
    return rows;
  }

  async withdraw(transaction: Kysely<Tables>, orders: readonly OrderNumber[]): Promise<void> {
    for (const { gatewayId, number } of orders)
      await transaction
        .updateTable("gateway_orders")
        .set({ is_over: true })
        .where("gateway_id", "=", gatewayId)
        .where("number", "=", number)
        .execute();
  }

  /** Calls when orders may have come for a gateway, from this server. */
  onOrders(gatewayId: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(gatewayId) ?? new Set();
    this.#listeners.set(gatewayId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(gatewayId) === listeners) this.#listeners.delete(gatewayId);
    };
  }

  told(gatewayIds: Iterable<string>): void {
    for (const id of new Set(gatewayIds)) for (const listener of this.#listeners.get(id) ?? []) listener();
  }

  /** What a gateway says of itself and its broadcasts, with its airtime for the series. */
  async saveState(id: string, state: GatewayState): Promise<string | undefined> {
    const row = await this.#tables
      .updateTable("gateways")
      .set({ state: storableJson(state), seen_at: new Date() })
      .where("id", "=", id)
      .returning("band")
      .executeTakeFirst();
    // A broadcast reports its own changes; what it has used of the air grows between them.
    for (const progress of state.sessions)
      await this.#tables
        .updateTable("mesh_sessions")
        .set({ progress: storableJson(progress) })
        .where("id", "=", progress.sessionId)
        .where("gateway_id", "=", id)
        .where("ended_at", "is", null)
        .execute();
    for (const { band, usedMs, budgetMs, windowMs } of state.ledgers)
      await sql`insert into gateway_airtime (gateway_id, band, minute, used_ms, budget_ms, window_ms)
        values (${id}, ${storableText(band)}, date_trunc('minute', now()), ${usedMs}, ${budgetMs}, ${windowMs})
        on conflict (gateway_id, band, minute) do update
        set used_ms = greatest(gateway_airtime.used_ms, excluded.used_ms), budget_ms = excluded.budget_ms,
          window_ms = excluded.window_ms`.execute(this.#tables);
    return row?.band;
  }

  /** Oldest first. */
  async airtime(id: string, hours: number): Promise<AirtimeSeries> {
    const rows = await this.#tables
      .selectFrom("gateway_airtime")
      .selectAll()
      .where("gateway_id", "=", id)
      .where("minute", ">", new Date(Date.now() - hours * 3_600_000))
      .orderBy("band")
      .orderBy("minute")
      .execute();
    const bands = Map.groupBy(rows, ({ band }) => band);
    const items = [...bands].map(([band, of]) => ({
      band,
      windowMs: of.at(-1)?.window_ms ?? 0,
      budgetMs: of.at(-1)?.budget_ms ?? 0,
      points: of.map(({ minute, used_ms }) => ({ at: minute.toISOString(), usedMs: used_ms })),
    }));
    return { items };
  }

  /** Forgets what nobody looks at any more. */
  async tidy(): Promise<void> {
    await sql`delete from gateway_airtime where minute < now() - ${AIRTIME_KEPT}`.execute(this.#tables);
    await sql`delete from gateway_orders where is_over and created_at < now() - interval '7 days'`.execute(
      this.#tables,
    );
  }

  async #read(rest: ReturnType<typeof sql>): Promise<Gateway[]> {
    const { rows } = await sql<Selectable<GatewayTable> & { order_count: number }>`
      select g.*, (select count(*)::integer from gateway_orders o where o.gateway_id = g.id and not o.is_over) as order_count
      from gateways g ${rest}`.execute(this.#tables);
    return rows.map((row) => ({
      id: row.id,
      cells: row.cells,
      band: row.band,
      rateBps: row.rate_bps,
      loss: row.loss,
      state: row.state,
      seenAt: row.seen_at?.toISOString() ?? null,
      isOnline: row.seen_at !== null && Date.now() - row.seen_at.getTime() < ONLINE_MS,
      orderCount: row.order_count,
    }));
  }
}

const unknown = (id: string): UsageError => new UsageError("UNKNOWN_GATEWAY", `there is no gateway ${id}`, { id });
