/** The requests that wait for sleeping devices, on record before they are promised and before they go out. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type RawBuilder, type Selectable, sql, type Updateable } from "kysely";
import type { QueuedRequest, QueueOutcome, QueueState, RequestContent } from "../fleet/queued-request.ts";
import { storableJson, storableText } from "./database.ts";
import type { Journal } from "./journal.ts";
import { isFree } from "./node-store.ts";
import type { NewEvent } from "./ports.ts";
import type { DeviceRequestTable, Tables } from "./tables.ts";

/** What a device answered. */
export interface QueueAnswer {
  /** "2.05". */
  readonly code: string;
  readonly contentFormat: number | null;
  /** Base64, cut after 16 KiB. */
  readonly payload: string;
}

/** A request with what became of it. */
export interface RequestRecord extends Omit<QueuedRequest, "state"> {
  readonly state: QueueState;
  readonly finishedAtMs: number | null;
  readonly outcome: QueueOutcome | null;
  readonly answer: QueueAnswer | null;
}

/** The end of a request. */
export interface RequestEnd {
  readonly outcome: QueueOutcome;
  readonly answer: QueueAnswer | null;
  /** For the device's timeline. */
  readonly sentence: string;
}

/** A request that is on record. */
export interface AddedRequest {
  /** In the order of submission. */
  readonly place: number;
  /** Whether it is this server's to send; else the one that its device is registered at takes it. */
  readonly isOwn: boolean;
}

/**
 * A request is sent by the server that its row names. What has no server, or one that is gone, is taken by exactly one; whoever had it
 * before is refused at its next word about it. All methods reject with {EnvironmentError} DATABASE_AWAY.
 */
export interface RequestQueueStore {
  /** Every open request that is this server's, in the order of submission: what an earlier run left. */
  loadOwn(): Promise<QueuedRequest[]>;
  /**
   * Takes up to `limit` open requests that nobody alive has and whose device is at no other server that lives, and those that wait
   * elsewhere while their device is registered here.
   */
  claim(limit: number): Promise<QueuedRequest[]>;
  /** Takes along what waits for devices that have registered here. */
  claimOf(endpoints: readonly string[]): Promise<QueuedRequest[]>;
  /** Lets go of what waits for a device that has left; the ids. */
  release(endpoint: string): Promise<string[]>;
  /** @throws {UsageError} QUEUE_FULL when as many of its device are open. */
  add(request: Omit<QueuedRequest, "place">, mostOpen: number): Promise<AddedRequest>;
  /** Its state, attempts and end of life; false when it is not this server's any more, and is not to be sent. */
  save(request: QueuedRequest): Promise<boolean>;
  /** Takes away one that was never promised to anybody. */
  drop(id: string): Promise<void>;
  /** Ends one of this server's, with an event on the device's timeline; of the finished ones of a device the last 50 are kept. */
  finish(request: QueuedRequest, end: RequestEnd): Promise<void>;
  /**
   * Ends one that waits, whichever server has it.
   *
   * @throws {UsageError} UNKNOWN_REQUEST (404), REQUEST_SENT (409)
   */
  cancel(endpoint: string, id: string, sentenceOf: (content: RequestContent) => string): Promise<void>;
  /** Those that wait first to last, then those that have finished, newest first. */
  list(endpoint: string): Promise<RequestRecord[]>;
  /**
   * The result ends it.
   *
   * @param onNews Called when there may be something to claim.
   * @param onTakenBack Called with the id of a request that was cancelled, at whichever server.
   */
  subscribe(onNews: () => void, onTakenBack: (id: string) => void): () => void;
}

export interface RequestQueueStoreParts {
  readonly tables: Kysely<Tables>;
  readonly journal: Journal;
  /** The server that this one is. */
  readonly nodeId: string;
}

/** Tells servers that requests wait for one of them. */
export const REQUEST_CHANNEL = "airlift_requests";

const FINISHED_KEPT = 50;

type RequestRow = Selectable<DeviceRequestTable>;

export class PostgresRequestQueueStore implements RequestQueueStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #nodeId: string;
  readonly #listeners = new Set<() => void>();

  constructor({ tables, journal, nodeId }: RequestQueueStoreParts) {
    this.#tables = tables;
    this.#journal = journal;
    this.#nodeId = nodeId;
  }

  async loadOwn(): Promise<QueuedRequest[]> {
    const open = this.#tables.selectFrom("device_requests").selectAll().where("finished_at", "is", null);
    return (await open.where("node_id", "=", this.#nodeId).orderBy("seq").execute()).map(toRequest);
  }

  claim(limit: number): Promise<QueuedRequest[]> {
    const isHere = sql`exists (select from devices where devices.endpoint = device_requests.endpoint
      and devices.node_id = ${this.#nodeId} and devices.presence = 'registered')`;
    const condition = sql`(${isFree("device_requests.node_id")}
      and not exists (${this.#elsewhere(sql.ref("device_requests.endpoint"))})) or (state = 'waiting' and ${isHere})`;
    return this.#claim(condition, limit);
  }

  claimOf(endpoints: readonly string[]): Promise<QueuedRequest[]> {
    // One that is on its way ends where it was sent, while that server lives.
    return this.#claim(sql`endpoint = any(${endpoints.map(storableText)}::text[])
      and (state = 'waiting' or ${isFree("device_requests.node_id")})`);
  }

  async release(endpoint: string): Promise<string[]> {
    const released = this.#tables.updateTable("device_requests").set({ node_id: null });
    const own = released.where("endpoint", "=", endpoint).where("node_id", "=", this.#nodeId);
    const rows = await own.where("state", "=", "waiting").returning("id").execute();
    if (rows.length > 0) await this.#tell();
    return rows.map(({ id }) => id);
  }

  async add(request: Omit<QueuedRequest, "place">, mostOpen: number): Promise<AddedRequest> {
    const { id, content, state, attempts, submittedAtMs, expiresAtMs } = request;
    const endpoint = storableText(request.endpoint);
    const { rows } = await sql<{ seq: number; node_id: string | null }>`
      insert into device_requests (id, endpoint, content, state, attempts, submitted_at, expires_at, node_id)
      select ${id}, ${endpoint}, ${storableJson(content)}::jsonb, ${state}, ${attempts}::integer,
        ${new Date(submittedAtMs)}::timestamptz, ${new Date(expiresAtMs)}::timestamptz,
        case when exists (${this.#elsewhere(sql`${endpoint}::text`)}) then null else ${this.#nodeId}::text end
      where ${mostOpen}::integer >
        (select count(*) from device_requests where endpoint = ${endpoint} and finished_at is null)
      returning seq, node_id`.execute(this.#tables);
    const [row] = rows;
    if (row === undefined)
      throw new UsageError("QUEUE_FULL", "too many requests wait for this device", { endpoint: request.endpoint });
    if (row.node_id === null) await this.#tell();
    return { place: row.seq, isOwn: row.node_id !== null };
  }

  async save({ id, state, attempts, expiresAtMs }: QueuedRequest): Promise<boolean> {
    const change = { state, attempts, expires_at: new Date(expiresAtMs) };
    const own = this.#tables.updateTable("device_requests").set(change).where("node_id", "=", this.#nodeId);
    const { numUpdatedRows } = await own.where("id", "=", id).where("finished_at", "is", null).executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  async drop(id: string): Promise<void> {
    await this.#tables.deleteFrom("device_requests").where("id", "=", id).execute();
  }

  async finish({ id, attempts }: QueuedRequest, end: RequestEnd): Promise<void> {
    await this.#journal.write(async (transaction) => {
      const change = { outcome: end.outcome, attempts, answer: end.answer && storableJson(end.answer) };
      const ended = await endRequests(transaction, change)
        .where("id", "=", id)
        .where("node_id", "=", this.#nodeId)
        .executeTakeFirst();
      if (ended === undefined) return { result: undefined, events: [] };
      await deleteOldest(transaction, ended.endpoint);
      return { result: undefined, events: [endEvent(ended, end.sentence)] };
    });
  }

  async cancel(endpoint: string, id: string, sentenceOf: (content: RequestContent) => string): Promise<void> {
    await this.#journal.write(async (transaction) => {
      const ended = await endRequests(transaction, { outcome: "cancelled" })
        .where("id", "=", id)
        .where("endpoint", "=", endpoint)
        .where("state", "=", "waiting")
        .executeTakeFirst();
      if (ended === undefined) throw await whyNotCancelled(transaction, endpoint, id);
      await deleteOldest(transaction, endpoint);
      return { result: undefined, events: [endEvent(ended, sentenceOf(ended.content))] };
    });
  }

  async list(endpoint: string): Promise<RequestRecord[]> {
    const rows = this.#tables.selectFrom("device_requests").selectAll();
    const records = (await rows.where("endpoint", "=", endpoint).orderBy("seq").execute()).map(toRecord);
    const isOpen = ({ state }: RequestRecord): boolean => state !== "finished";
    return [...records.filter(isOpen), ...records.filter((one) => !isOpen(one)).reverse()];
  }

  subscribe(onNews: () => void, onTakenBack: (id: string) => void): () => void {
    this.#listeners.add(onNews);
    const stopHearing = this.#journal.subscribe(({ kind, facts: { requestId, outcome } }) => {
      if (kind === "device.request" && outcome === "cancelled" && typeof requestId === "string") onTakenBack(requestId);
    });
    return () => {
      this.#listeners.delete(onNews);
      stopHearing();
    };
  }

  /** Another server has said, or it is time to look, that there may be something to claim. */
  onNews(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Another server that is alive and has the device. */
  #elsewhere(endpoint: RawBuilder<unknown>) {
    return sql`select from devices join nodes on nodes.id = devices.node_id and nodes.lease_until > now()
      where devices.endpoint = ${endpoint} and devices.node_id <> ${this.#nodeId}`;
  }

  /** Rows that another server is changing now are left to it. */
  async #claim(condition: RawBuilder<unknown>, limit?: number): Promise<QueuedRequest[]> {
    const { rows } = await sql<RequestRow>`
      with mine as (
        select id from device_requests
        where finished_at is null and node_id is distinct from ${this.#nodeId} and (${condition})
        order by seq ${limit === undefined ? sql`` : sql`limit ${limit}`} for update skip locked)
      update device_requests set node_id = ${this.#nodeId} from mine where device_requests.id = mine.id
      returning device_requests.*`.execute(this.#tables);
    return rows.toSorted((a, b) => a.seq - b.seq).map(toRequest);
  }

  /** Whoever does not hear it looks every few seconds. */
  async #tell(): Promise<void> {
    await sql`select pg_notify(${REQUEST_CHANNEL}, '')`.execute(this.#tables);
  }
}

const endRequests = (transaction: Kysely<Tables>, end: Updateable<DeviceRequestTable>) =>
  transaction
    .updateTable("device_requests")
    .set({ ...end, state: "finished", finished_at: new Date() })
    .where("finished_at", "is", null)
    .returningAll();

async function deleteOldest(transaction: Kysely<Tables>, endpoint: string): Promise<void> {
  await sql`delete from device_requests where endpoint = ${endpoint} and finished_at is not null
    and seq <= (select seq from device_requests where endpoint = ${endpoint} and finished_at is not null
      order by seq desc offset ${FINISHED_KEPT} limit 1)`.execute(transaction);
}

function endEvent({ id, endpoint, content, outcome, answer }: RequestRow, sentence: string): NewEvent {
  const facts = { requestId: id, operation: content.operation, path: content.path, outcome, code: answer?.code };
  return { kind: "device.request", endpoint, sentence, facts };
}

async function whyNotCancelled(transaction: Kysely<Tables>, endpoint: string, id: string): Promise<UsageError> {
  const sent = await transaction
    .selectFrom("device_requests")
    .select("id")
    .where("id", "=", id)
    .where("endpoint", "=", endpoint)
    .where("finished_at", "is", null)
    .executeTakeFirst();
  if (sent === undefined)
    return new UsageError("UNKNOWN_REQUEST", `no request ${id} waits for ${endpoint}`, { id, endpoint });
  return new UsageError("REQUEST_SENT", "it is on its way to the device and cannot be taken back", { id });
}

function toRequest(row: RequestRow): QueuedRequest {
  const { id, endpoint, content, attempts, seq: place } = row;
  const state = row.state === "sending" ? "sending" : "waiting";
  const times = { submittedAtMs: row.submitted_at.getTime(), expiresAtMs: row.expires_at.getTime() };
  return { id, endpoint, content, state, attempts, place, ...times };
}

function toRecord(row: RequestRow): RequestRecord {
  const { state, outcome, answer } = row;
  return { ...toRequest(row), state, outcome, answer, finishedAtMs: row.finished_at?.getTime() ?? null };
}
