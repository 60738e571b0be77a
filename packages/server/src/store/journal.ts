/**
 * The one door for changes that leave an event: a change and its events are committed together, and events become
 * visible in the order of their ids, so that a reader who has seen one has seen all before it.
 *
 * Changes that wait for the one before them share its successor's transaction: the cost of a commit is paid once for all.
 */
import type { Event } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Kysely, type Selectable, sql } from "kysely";
import { storableJson, storableText } from "./database.ts";
import type { NewEvent } from "./ports.ts";
import type { EventTable, Tables } from "./tables.ts";

/** What a change did: what its caller gets, and the events that tell of it. */
export interface Written<Result> {
  readonly result: Result;
  readonly events: readonly NewEvent[];
}

type Change<Result> = (transaction: Kysely<Tables>) => Promise<Written<Result>>;

/** Called with committed events, ids ascending; progress has the id of the event before it. */
export type Listener = (event: Event) => void;

interface Waiting {
  readonly change: Change<unknown>;
  readonly resolve: (outcome: { result: unknown; events: Event[] }) => void;
  readonly reject: (error: unknown) => void;
}

/** Names the lock that keeps the events of several servers in order: whoever holds it inserts and commits. */
export const EVENT_LOCK = 7_104_531_883;
/** Changes of one transaction: enough to hide the commit, few enough to answer the first one soon. */
const LARGEST_BATCH = 200;
/** Changes that may wait: some seconds' worth. */
const MOST_WAITING = 10_000;

export class Journal {
  readonly #tables: Kysely<Tables>;
  readonly #listeners = new Set<Listener>();
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #newestId = 0;

  constructor(tables: Kysely<Tables>) {
    this.#tables = tables;
  }

  /**
   * Commits one change with its events. When `change` throws, it alone is undone.
   *
   * @throws {EnvironmentError} DATABASE_AWAY, STORE_BUSY (too many changes wait); and what `change` throws.
   */
  async write<Result>(change: Change<Result>): Promise<{ result: Result; events: Event[] }> {
    if (this.#waiting.length >= MOST_WAITING)
      throw new EnvironmentError("STORE_BUSY", "too many changes wait for the database", { waiting: MOST_WAITING });
    const { promise, resolve, reject } = Promise.withResolvers<{ result: unknown; events: Event[] }>();
    this.#waiting.push({ change, resolve, reject });
    this.#writing ??= this.#writeWaiting();
    return (await promise) as { result: Result; events: Event[] };
  }

  /** Resolves when every change asked for so far is committed or has failed. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the listeners of something that only matters now; nothing is stored. */
  publishLive(event: Omit<Event, "id" | "at">): void {
    if (this.#listeners.size === 0) return;
    this.#publish([{ ...event, id: this.#newestId, at: new Date().toISOString() }]);
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeBatch(this.#waiting.splice(0, LARGEST_BATCH));
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    let written: { waiting: Waiting; result: unknown; events: Event[] }[];
    try {
      written = await this.#tables.transaction().execute((transaction) => writeAll(transaction, batch));
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
      return;
    }
    this.#publish(written.flatMap((one) => one.events));
    for (const { waiting, result, events } of written) waiting.resolve({ result, events });
  }

  #publish(events: readonly Event[]): void {
    for (const event of events) {
      this.#newestId = Math.max(this.#newestId, event.id);
      for (const listener of this.#listeners) listener(event);
    }
  }
}

async function writeAll(transaction: Kysely<Tables>, batch: readonly Waiting[]) {
  const done: { waiting: Waiting; written: Written<unknown> }[] = [];
  for (const waiting of batch) {
    await sql`savepoint change`.execute(transaction);
    try {
      done.push({ waiting, written: await waiting.change(transaction) });
      await sql`release savepoint change`.execute(transaction);
    } catch (error) {
      // Without a database there is nothing to return to, and the whole batch fails with the same reason.
      await sql`rollback to savepoint change`.execute(transaction);
      waiting.reject(error);
    }
  }
  const events = await insertEvents(
    transaction,
    done.flatMap(({ written }) => written.events),
  );
  let place = 0;
  return done.map(({ waiting, written }) => {
    const own = events.slice(place, place + written.events.length);
    place += own.length;
    return { waiting, result: written.result, events: own };
  });
}

async function insertEvents(transaction: Kysely<Tables>, events: readonly NewEvent[]): Promise<Event[]> {
  if (events.length === 0) return [];
  await sql`select pg_advisory_xact_lock(${EVENT_LOCK})`.execute(transaction);
  const { rows } = await sql<Selectable<EventTable>>`
    insert into events (kind, endpoint, update_id, sentence, facts)
    select kind, endpoint, update_id, sentence, facts::jsonb
    from unnest(
      ${events.map((event) => event.kind)}::text[],
      ${events.map((event) => (event.endpoint == null ? null : storableText(event.endpoint)))}::text[],
      ${events.map((event) => event.updateId ?? null)}::text[],
      ${events.map((event) => storableText(event.sentence))}::text[],
      ${events.map((event) => storableJson(event.facts ?? {}))}::text[]
    ) with ordinality as new(kind, endpoint, update_id, sentence, facts, place)
    order by place
    returning *`.execute(transaction);
  return rows.map(toEvent);
}

/** A row of the table as the API shows it. */
export function toEvent(row: Selectable<EventTable>): Event {
  return {
    id: row.id,
    at: row.at.toISOString(),
    kind: row.kind,
    endpoint: row.endpoint,
    updateId: row.update_id,
    sentence: row.sentence,
    facts: row.facts,
  };
}
