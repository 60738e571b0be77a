/** The exchanges of updates with their devices: the last ones of the last attempts, written in batches. */
import type { Exchange } from "@airlift/protocol/api/schemas";
import { type Kysely, type Selectable, sql } from "kysely";
import { BatchWriter, type BatchWriterOptions } from "./batch-writer.ts";
import { isRowFault, storableJson, storableText } from "./database.ts";
import type { ExchangeTable } from "./record-tables.ts";
import type { Tables } from "./tables.ts";

/** Exchanges kept of each attempt: the last ones. */
export const EXCHANGES_OF_ATTEMPT = 200;

/** Attempts of which exchanges are kept: the last ones. */
export const ATTEMPTS_WITH_EXCHANGES = 3;

/** What the rest of the server may ask of it. */
export interface ExchangeStore {
  /** Saves soon, in a batch; the oldest beyond the limits make room. Never blocks, never throws. */
  queue(updateId: string, exchange: Exchange): void;
  /** The last exchanges of the last attempts, oldest first. */
  list(updateId: string): Promise<Exchange[]>;
  /** The number of the newest one; 0 when there is none. */
  newestNumber(updateId: string): Promise<number>;
  /** Resolves when all that was queued so far is in the database. */
  flush(): Promise<void>;
}

interface Queued {
  readonly updateId: string;
  readonly slot: number;
  readonly exchange: Exchange;
}

export class PostgresExchangeStore implements ExchangeStore {
  readonly #tables: Kysely<Tables>;
  readonly #writer: BatchWriter<Queued>;

  constructor(tables: Kysely<Tables>, options: BatchWriterOptions = {}) {
    this.#tables = tables;
    this.#writer = new BatchWriter((rows) => this.#write(rows), { isPermanent: isRowFault, ...options });
  }

  queue(updateId: string, exchange: Exchange): void {
    const { attempt, number } = exchange;
    // A slot is written again and again, so that no row has ever to be looked for and deleted.
    const slot = (attempt % ATTEMPTS_WITH_EXCHANGES) * EXCHANGES_OF_ATTEMPT + (number % EXCHANGES_OF_ATTEMPT);
    this.#writer.put(`${updateId}/${slot}`, { updateId, slot, exchange });
  }

  async list(updateId: string): Promise<Exchange[]> {
    const rows = await this.#tables
      .selectFrom("exchanges")
      .selectAll()
      .where("update_id", "=", storableText(updateId))
      .orderBy("number")
      .execute();
    // What an attempt before the last ones left in slots that are not taken yet is over.
    const newest = rows.at(-1)?.attempt ?? 0;
    return rows.filter(({ attempt }) => attempt > newest - ATTEMPTS_WITH_EXCHANGES).map(toExchange);
  }

  async newestNumber(updateId: string): Promise<number> {
    const row = await this.#tables
      .selectFrom("exchanges")
      .select(({ fn }) => fn.max("number").as("number"))
      .where("update_id", "=", storableText(updateId))
      .executeTakeFirst();
    return row?.number ?? 0;
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  async #write(rows: readonly Queued[]): Promise<void> {
    const arrays = COLUMNS.map(([, type, read]) => sql`${rows.map(read)}::${sql.raw(type)}[]`);
    await sql`${sql.raw(UPSERT_HEAD)}${sql.join(arrays)}${sql.raw(UPSERT_TAIL)}`.execute(this.#tables);
  }
}

/** Columns: the type of its array and the value of one row, in the order of the statement. */
const COLUMNS: readonly (readonly [string, string, (row: Queued) => unknown])[] = [
  ["update_id", "text", (it) => storableText(it.updateId)],
  ["slot", "integer", (it) => it.slot],
  ["attempt", "integer", (it) => it.exchange.attempt],
  ["number", "integer", (it) => it.exchange.number],
  ["at", "timestamptz", (it) => it.exchange.at],
  ["request", "text", (it) => storableText(it.exchange.request)],
  ["answer", "text", (it) => storableText(it.exchange.answer)],
  ["took_ms", "integer", (it) => it.exchange.tookMs],
  ["retransmission_count", "integer", (it) => it.exchange.retransmissionCount],
  ["transfer", "jsonb", (it) => it.exchange.transfer && storableJson(it.exchange.transfer)],
];

const NAMES = COLUMNS.map(([name]) => name);
/** An update that is gone meanwhile has no exchanges any more. */
const UPSERT_HEAD = `insert into exchanges (${NAMES.join(", ")}) select one.* from unnest(`;
const UPSERT_TAIL = `) as one (${NAMES.join(", ")}) where exists (select from updates where id = one.update_id)
  on conflict (update_id, slot) do update set ${NAMES.slice(2)
    .map((name) => `${name} = excluded.${name}`)
    .join(", ")}`;

function toExchange(row: Selectable<ExchangeTable>): Exchange {
  return {
    attempt: row.attempt,
    number: row.number,
    at: row.at.toISOString(),
    request: row.request,
    answer: row.answer,
    tookMs: row.took_ms,
    retransmissionCount: row.retransmission_count,
    transfer: row.transfer,
  };
}
