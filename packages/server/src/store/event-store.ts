/** The event log to read: timeline of every device and update, and the live feed of all of them. */
import type { Event } from "@airlift/protocol/api/schemas";
import { type Kysely, type SqlBool, sql } from "kysely";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import { storableText } from "./database.ts";
import { toEvent } from "./event-rows.ts";
import type { Journal } from "./journal.ts";
import type { EventFilter, EventStore, NewEvent, Page, PageRequest } from "./ports.ts";
import type { Tables } from "./tables.ts";

export class PostgresEventStore implements EventStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;

  constructor(tables: Kysely<Tables>, journal: Journal) {
    this.#tables = tables;
    this.#journal = journal;
  }

  async append(event: NewEvent): Promise<Event> {
    return (await this.appendAll([event]))[0] as Event;
  }

  async appendAll(added: readonly NewEvent[]): Promise<Event[]> {
    const change = async () => ({ result: undefined, events: added });
    const { events } = await this.#journal.write(change, { eventCount: added.length });
    return events;
  }

  get listenerFailureCount(): number {
    return this.#journal.listenerFailureCount;
  }

  publish(event: Omit<Event, "id" | "at">): void {
    this.#journal.publishLive(event);
  }

  subscribe(onEvent: (event: Event) => void): () => void {
    return this.#journal.subscribe(onEvent);
  }

  async newestId(): Promise<number> {
    const row = await this.#tables
      .selectFrom("events")
      .select(({ fn }) => fn.max("id").as("id"))
      .executeTakeFirst();
    return row?.id ?? 0;
  }

  async after(filter: EventFilter, limit: number): Promise<Event[]> {
    const rows = await this.#matching(filter).orderBy("id").limit(limit).execute();
    return rows.map(toEvent);
  }

  async list(filter: EventFilter, page: PageRequest): Promise<Page<Event>> {
    let query = this.#matching(filter);
    if (page.cursor !== undefined) query = query.where("id", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("id", "desc")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toEvent, position: (row) => row.id });
  }

  #matching(filter: EventFilter) {
    let query = this.#tables.selectFrom("events").selectAll();
    if (filter.endpoint !== undefined) query = query.where("endpoint", "=", storableText(filter.endpoint));
    if (filter.updateId !== undefined) query = query.where("update_id", "=", storableText(filter.updateId));
    if (filter.campaignId !== undefined) query = query.where("campaign_id", "=", storableText(filter.campaignId));
    if (filter.afterId !== undefined) query = query.where("id", ">", filter.afterId);
    if (filter.withoutEchoes === true) query = query.where(IS_NO_ECHO);
    return query;
  }
}

/** A campaign hears of an update a moment after it is on record, and of several changes at once the newest. */
const IS_NO_ECHO = sql<SqlBool>`not (events.kind = 'campaign.note' and events.endpoint is not null and events.sentence in (
  select said.sentence from (
    select sentence, kind from events before
    where before.endpoint = events.endpoint and before.id < events.id and before.campaign_id = events.campaign_id
    order by before.id desc limit 16) said
  where said.kind like 'update.%'))`;
