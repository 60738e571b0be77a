/**
 * The one door for changes that leave an event: a change and its events are committed together, and events become
 * visible in the order of their ids, so that a reader who has seen one has seen all before it.
 *
 * Changes that wait for the one before them share its successor's transaction: the cost of a commit is paid once for all.
 */
import type { Event } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import { isLockConflict, storableText } from "./database.ts";
import { insertEvents, newestEventId, toEvent } from "./event-rows.ts";
import type { NewEvent } from "./ports.ts";
import type { Tables } from "./tables.ts";

/** What a change did: what its caller gets, and the events that tell of it. */
export interface Written<Result> {
  readonly result: Result;
  readonly events: readonly NewEvent[];
}

/** Called anew when its transaction has to be tried again. */
type Change<Result> = (transaction: Kysely<Tables>) => Promise<Written<Result>>;

/**
 * Called with committed events, ids ascending and each once, whichever server wrote them; progress has the id of the event before it.
 * One that throws keeps no other from hearing the event, nor itself from hearing the next.
 */
export type Listener = (event: Event) => void;

/**
 * Rows that a change writes and others write several of: of devices by their endpoints or by their updates, of gateways, and of mesh
 * devices by their names on air. They are locked before any change of the transaction, of devices first, each kind in its order:
 * whoever writes several takes them like this, or two would wait for each other. Campaigns are last, and are not written here: they only
 * stay as they are until the change is committed.
 */
interface WrittenRows {
  readonly endpoints?: readonly string[];
  /** Whoever writes updates has the rows of their devices, of a new one too: then the updates need no order of their own. */
  readonly updateIds?: readonly string[];
  readonly gatewayIds?: readonly string[];
  /** The rows of their devices too. */
  readonly meshNames?: readonly string[];
  readonly campaignIds?: readonly string[];
  /** Updates whose campaigns, if they are of any, stay as they are. */
  readonly steeredIds?: readonly string[];
}

/** What is known of a change before it is made. */
export interface ChangeExtent extends WrittenRows {
  /** How many events it has; default: not many. */
  readonly eventCount?: number;
}

interface Waiting {
  /** Events that it is known to have. */
  readonly eventCount: number;
  readonly change: Change<unknown>;
  readonly rows: WrittenRows;
  readonly resolve: (outcome: { result: unknown; events: Event[] }) => void;
  readonly reject: (error: unknown) => void;
}

/** Changes of one transaction: enough to hide the commit, few enough to answer the first one soon. */
const LARGEST_BATCH = 200;
/** Events of one transaction, as far as they are known before: one statement of them keeps nobody waiting. */
const MOST_EVENTS = 5_000;
/** How often a batch is tried whose locks were taken from it. */
const MOST_TRIES = 3;
/** Changes that may wait: some seconds' worth. */
const MOST_WAITING = 10_000;
/** Events of other servers that are read at once. */
const ROWS_AT_ONCE = 1000;

export interface JournalOptions {
  /** Told of what a listener threw; it never throws itself. */
  readonly onListenerFailed?: (error: unknown, event: Event) => void;
  /** A batch is tried again, because PostgreSQL found it and another transaction waiting for each other. No two of ours do. */
  readonly onLockConflict?: (error: unknown) => void;
}

export class Journal {
  readonly #tables: Kysely<Tables>;
  readonly #listeners = new Set<Listener>();
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** The newest event that the listeners were told of; undefined until the first is known. */
  #toldId: number | undefined;
  #reading: Promise<void> | undefined;
  #isNews = false;
  readonly #options: JournalOptions;
  /** How often a listener has thrown since the start. */
  listenerFailureCount = 0;

  constructor(tables: Kysely<Tables>, options: JournalOptions = {}) {
    this.#tables = tables;
    this.#options = options;
  }

  /** Listeners hear of everything from now on. */
  async start(): Promise<void> {
    this.#toldId ??= await newestEventId(this.#tables);
  }

  /**
   * Commits one change with its events. When `change` throws, it alone is undone.
   *
   * @throws {EnvironmentError} DATABASE_AWAY, STORE_BUSY (too many changes wait); and what `change` throws.
   */
  async write<Result>(
    change: Change<Result>,
    { eventCount = 0, ...rows }: ChangeExtent = {},
  ): Promise<{ result: Result; events: Event[] }> {
    if (this.#waiting.length >= MOST_WAITING)
      throw new EnvironmentError("STORE_BUSY", "too many changes wait for the database", { waiting: MOST_WAITING });
    const { promise, resolve, reject } = Promise.withResolvers<{ result: unknown; events: Event[] }>();
    this.#waiting.push({ eventCount, change, rows, resolve, reject });
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

  /**
   * Tells the listeners of what other servers have committed since. Cheap when that is nothing; may be called at any
   * time and never throws: what cannot be read now is read with the next call.
   */
  catchUp(): Promise<void> {
    this.#isNews = true;
    this.#reading ??= this.#readNews();
    return this.#reading;
  }

  /** Tells the listeners of something that only matters now; nothing is stored. */
  publishLive(event: Omit<Event, "id" | "at">): void {
    if (this.#listeners.size === 0) return;
    this.#tell([{ ...event, id: this.#toldId ?? 0, at: new Date().toISOString() }]);
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeBatch(this.#takeBatch());
    this.#writing = undefined;
  }

  #takeBatch(): Waiting[] {
    let count = 0;
    for (let events = 0; count < Math.min(LARGEST_BATCH, this.#waiting.length) && events < MOST_EVENTS; count += 1)
      events += this.#waiting[count]?.eventCount ?? 0;
    return this.#waiting.splice(0, count);
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    let written: BatchOutcome;
    try {
      written = await this.#commit(batch);
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
      return;
    }
    for (const { waiting, error } of written.refused) waiting.reject(error);
    await this.#tellOwn(written);
    for (const { waiting, result, events } of written.done) waiting.resolve({ result, events });
  }

  async #commit(batch: readonly Waiting[]): Promise<BatchOutcome> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#tables.transaction().execute((transaction) => writeAll(transaction, batch));
      } catch (error) {
        if (!isLockConflict(error) || tries === MOST_TRIES) throw error;
        this.#options.onLockConflict?.(error);
      }
    }
  }

  /** Other servers' events before ours are told first; as long as they cannot be read, ours wait with them. */
  async #tellOwn({ idBefore, done }: BatchOutcome): Promise<void> {
    const events = done.flatMap((one) => one.events);
    if (events.length === 0) return;
    this.#toldId ??= idBefore;
    if (idBefore > this.#toldId && this.#listeners.size > 0) await this.catchUp();
    if (idBefore <= this.#toldId || this.#listeners.size === 0) this.#publish(events);
  }

  async #readNews(): Promise<void> {
    try {
      while (this.#isNews) {
        this.#isNews = false;
        await this.#readOn();
      }
    } catch {
      // The database is away, or was closed; the next call, or the next event, reads on from the same place.
    } finally {
      // At once: who calls from here on is not given a reading that has ended.
      this.#reading = undefined;
    }
  }

  async #readOn(): Promise<void> {
    if (this.#toldId === undefined || this.#listeners.size === 0) {
      this.#toldId = await newestEventId(this.#tables);
      return;
    }
    for (;;) {
      const rows = await this.#tables
        .selectFrom("events")
        .selectAll()
        .where("id", ">", this.#toldId)
        .orderBy("id")
        .limit(ROWS_AT_ONCE)
        .execute();
      this.#publish(rows.map(toEvent));
      if (rows.length < ROWS_AT_ONCE) return;
    }
  }

  /** Each event once: it may have been committed here and read from the table, whichever came first. */
  #publish(events: readonly Event[]): void {
    for (const event of events) {
      if (event.id <= (this.#toldId ?? 0)) continue;
      this.#toldId = event.id;
      this.#tell([event]);
    }
  }

  #tell(events: readonly Event[]): void {
    for (const event of events) for (const listener of this.#listeners) this.#tellOne(listener, event);
  }

  #tellOne(listener: Listener, event: Event): void {
    try {
      listener(event);
    } catch (error) {
      this.listenerFailureCount += 1;
      this.#options.onListenerFailed?.(error, event);
    }
  }
}

interface BatchOutcome {
  /** The newest event before those of this batch. */
  readonly idBefore: number;
  readonly done: readonly { readonly waiting: Waiting; readonly result: unknown; readonly events: Event[] }[];
  /** Those that threw. */
  readonly refused: readonly { readonly waiting: Waiting; readonly error: unknown }[];
}

async function writeAll(transaction: Kysely<Tables>, batch: readonly Waiting[]): Promise<BatchOutcome> {
  await lockRows(transaction, {
    endpoints: batch.flatMap(({ rows }) => rows.endpoints ?? []),
    updateIds: batch.flatMap(({ rows }) => rows.updateIds ?? []),
    gatewayIds: batch.flatMap(({ rows }) => rows.gatewayIds ?? []),
    meshNames: batch.flatMap(({ rows }) => rows.meshNames ?? []),
    campaignIds: batch.flatMap(({ rows }) => rows.campaignIds ?? []),
    steeredIds: batch.flatMap(({ rows }) => rows.steeredIds ?? []),
  });
  const done: { waiting: Waiting; written: Written<unknown> }[] = [];
  const refused: { waiting: Waiting; error: unknown }[] = [];
  for (const waiting of batch) {
    await sql`savepoint change`.execute(transaction);
    try {
      done.push({ waiting, written: await waiting.change(transaction) });
      await sql`release savepoint change`.execute(transaction);
    } catch (error) {
      // The locks of the changes before it would stay.
      if (isLockConflict(error)) throw error;
      // Without a database there is nothing to return to, and the whole batch fails with the same reason.
      await sql`rollback to savepoint change`.execute(transaction);
      refused.push({ waiting, error });
    }
  }
  const news = done.flatMap(({ written }) => written.events);
  const { idBefore, events } = await insertEvents(transaction, news);
  let place = 0;
  const outcomes = done.map(({ waiting, written }) => {
    const own = events.slice(place, place + written.events.length);
    place += own.length;
    return { waiting, result: written.result, events: own };
  });
  return { idBefore, done: outcomes, refused };
}

async function lockRows(transaction: Kysely<Tables>, written: Required<WrittenRows>): Promise<void> {
  const { endpoints, updateIds, gatewayIds, meshNames, campaignIds, steeredIds } = written;
  const textsOf = (texts: readonly string[]) => sql`${texts.map(storableText)}::text[]`;
  if (endpoints.length + updateIds.length + meshNames.length > 0)
    await sql`select from devices where endpoint = any(${textsOf(endpoints)}
        || array(select endpoint from updates where id = any(${textsOf(updateIds)}))
        || array(select endpoint from mesh_devices where name = any(${textsOf(meshNames)})))
      order by endpoint for update`.execute(transaction);
  if (gatewayIds.length > 0)
    await sql`select from gateways where id = any(${textsOf(gatewayIds)}) order by id for update`.execute(transaction);
  if (meshNames.length > 0)
    await sql`select from mesh_devices where name = any(${textsOf(meshNames)}) order by endpoint for update`.execute(
      transaction,
    );
  // A turn of a campaign takes its row for update, which keeps this waiting; whoever only marks the campaign as taken does not.
  if (campaignIds.length + steeredIds.length > 0)
    await sql`select from campaigns where id = any(${textsOf(campaignIds)}
        || array(select campaign_id from updates where id = any(${textsOf(steeredIds)}) and campaign_id is not null))
      order by id for key share`.execute(transaction);
}
