/** Events as rows: how they are written, in the order of their ids, and read back. */
import type { Event } from "@airlift/protocol/api/schemas";
import { type Kysely, type Selectable, sql } from "kysely";
import { storableJson, storableText } from "./database.ts";
import { EVENT_CHANNEL } from "./event-follower.ts";
import type { NewEvent } from "./ports.ts";
import type { EventTable } from "./record-tables.ts";
import type { Tables } from "./tables.ts";

/** Names the lock that keeps the events of several servers in order: whoever holds it inserts and commits. */
export const EVENT_LOCK = 7_104_531_883;

/** The last thing that a transaction does: from here to its commit no other server writes events. */
export async function insertEvents(
  transaction: Kysely<Tables>,
  events: readonly NewEvent[],
): Promise<{ readonly idBefore: number; readonly events: Event[] }> {
  if (events.length === 0) return { idBefore: 0, events: [] };
  await sql`select pg_advisory_xact_lock(${EVENT_LOCK})`.execute(transaction);
  const idBefore = await newestEventId(transaction);
  const endpoints = events.map((event) => (event.endpoint == null ? null : storableText(event.endpoint)));
  const sentences = events.map((event) => storableText(event.sentence));
  const facts = events.map((event) => storableJson(event.facts ?? {}));
  // Told as an age: all instants are by one clock, the database's, whichever server wrote them.
  const nowMs = performance.now();
  const agesMs = events.map(({ happenedAtMs = nowMs }) => Math.max(0, nowMs - happenedAtMs));
  // Only what the database adds comes back: a fleet's events need not be read twice.
  const { rows } = await sql<Pick<Selectable<EventTable>, "id" | "at">>`
    insert into events (at, kind, endpoint, update_id, campaign_id, sentence, facts)
    select clock_timestamp() - age_ms * interval '1 ms', kind, endpoint, update_id, campaign_id, sentence, facts::jsonb
    from unnest(
      ${events.map((event) => event.kind)}::text[],
      ${endpoints}::text[],
      ${events.map((event) => event.updateId ?? null)}::text[],
      ${events.map((event) => event.campaignId ?? null)}::text[],
      ${sentences}::text[],
      ${facts}::text[],
      ${agesMs}::float8[]
    ) with ordinality as new(kind, endpoint, update_id, campaign_id, sentence, facts, age_ms, place)
    order by place
    returning id, at`.execute(transaction);
  await sql`select pg_notify(${EVENT_CHANNEL}, ${`${rows.at(-1)?.id}`})`.execute(transaction);
  const written = events.map((event, place): Event => {
    const { id, at } = rows[place] as (typeof rows)[number];
    return {
      id,
      at: at.toISOString(),
      kind: event.kind,
      endpoint: endpoints[place] ?? null,
      updateId: event.updateId ?? null,
      campaignId: event.campaignId ?? null,
      sentence: sentences[place] ?? "",
      facts: JSON.parse(facts[place] ?? "{}"),
    };
  });
  return { idBefore, events: written };
}

/** A row of the table as the API shows it. */
export function toEvent(row: Selectable<EventTable>): Event {
  return {
    id: row.id,
    at: row.at.toISOString(),
    kind: row.kind,
    endpoint: row.endpoint,
    updateId: row.update_id,
    campaignId: row.campaign_id,
    sentence: row.sentence,
    facts: row.facts,
  };
}

/** 0 = there is none. */
export async function newestEventId(tables: Kysely<Tables>): Promise<number> {
  const row = await tables
    .selectFrom("events")
    .select(({ fn }) => fn.max("id").as("id"))
    .executeTakeFirst();
  return row?.id ?? 0;
}
