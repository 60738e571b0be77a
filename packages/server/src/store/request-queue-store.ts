/** The requests that wait for sleeping devices, on record before they are promised and before they go out. */
import type { Kysely, Selectable } from "kysely";
import { sql } from "kysely";
import type { QueuedRequest, QueueOutcome, QueueState } from "../fleet/queued-request.ts";
import { storableJson, storableText } from "./database.ts";
import type { Journal } from "./journal.ts";
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

export interface RequestQueueStore {
  /** Every request that has not finished, in the order of submission. */
  loadOpen(): Promise<QueuedRequest[]>;
  /** @throws {EnvironmentError} DATABASE_AWAY, as all of these */
  add(request: QueuedRequest): Promise<void>;
  /** Its state, attempts and end of life. */
  save(request: QueuedRequest): Promise<void>;
  /** Takes away one that was never promised to anybody. */
  drop(id: string): Promise<void>;
  /** Ends it, with an event on the device's timeline; of the finished ones of a device the last 50 are kept. */
  finish(request: QueuedRequest, end: RequestEnd): Promise<void>;
  /** Those that wait first to last, then those that have finished, newest first. */
  list(endpoint: string): Promise<RequestRecord[]>;
}

const FINISHED_KEPT = 50;

export class PostgresRequestQueueStore implements RequestQueueStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;

  constructor(tables: Kysely<Tables>, journal: Journal) {
    this.#tables = tables;
    this.#journal = journal;
  }

  async loadOpen(): Promise<QueuedRequest[]> {
    const open = this.#tables.selectFrom("device_requests").selectAll().where("finished_at", "is", null);
    return (await open.orderBy("seq").execute()).map(toRequest);
  }

  async add({ id, endpoint, content, state, attempts, submittedAtMs, expiresAtMs }: QueuedRequest): Promise<void> {
    const row = { id, endpoint: storableText(endpoint), content: storableJson(content), state, attempts };
    const times = { submitted_at: new Date(submittedAtMs), expires_at: new Date(expiresAtMs) };
    await this.#tables
      .insertInto("device_requests")
      .values({ ...row, ...times })
      .execute();
  }

  async save({ id, state, attempts, expiresAtMs }: QueuedRequest): Promise<void> {
    const change = { state, attempts, expires_at: new Date(expiresAtMs) };
    const open = this.#tables.updateTable("device_requests").set(change).where("id", "=", id);
    await open.where("finished_at", "is", null).execute();
  }

  async drop(id: string): Promise<void> {
    await this.#tables.deleteFrom("device_requests").where("id", "=", id).execute();
  }

  async finish(request: QueuedRequest, { outcome, answer, sentence }: RequestEnd): Promise<void> {
    const { id, endpoint, content, attempts } = request;
    await this.#journal.write(async (transaction) => {
      const end = { outcome, attempts, answer: answer && storableJson(answer), finished_at: new Date() };
      await transaction
        .updateTable("device_requests")
        .set({ ...end, state: "finished" })
        .where("id", "=", id)
        .execute();
      await sql`delete from device_requests where endpoint = ${storableText(endpoint)} and finished_at is not null
        and seq <= (select seq from device_requests where endpoint = ${storableText(endpoint)} and finished_at is not null
          order by seq desc offset ${FINISHED_KEPT} limit 1)`.execute(transaction);
      const facts = { requestId: id, operation: content.operation, path: content.path, outcome, code: answer?.code };
      return { result: undefined, events: [{ kind: "device.request" as const, endpoint, sentence, facts }] };
    });
  }

  async list(endpoint: string): Promise<RequestRecord[]> {
    const rows = this.#tables.selectFrom("device_requests").selectAll();
    const records = (await rows.where("endpoint", "=", endpoint).orderBy("seq").execute()).map(toRecord);
    const isOpen = ({ state }: RequestRecord): boolean => state !== "finished";
    return [...records.filter(isOpen), ...records.filter((one) => !isOpen(one)).reverse()];
  }
}

function toRequest(row: Selectable<DeviceRequestTable>): QueuedRequest {
  const { id, endpoint, content, attempts } = row;
  const state = row.state === "sending" ? "sending" : "waiting";
  const times = { submittedAtMs: row.submitted_at.getTime(), expiresAtMs: row.expires_at.getTime() };
  return { id, endpoint, content, state, attempts, ...times };
}

function toRecord(row: Selectable<DeviceRequestTable>): RequestRecord {
  const { state, outcome, answer } = row;
  return { ...toRequest(row), state, outcome, answer, finishedAtMs: row.finished_at?.getTime() ?? null };
}
