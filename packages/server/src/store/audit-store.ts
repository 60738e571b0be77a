/**
 * Who changed what, when and from where, in a chain: the hash of each line covers the line before it, so that nobody can
 * change, drop or insert a line without breaking every hash behind it. Lines that wait share one transaction.
 */
import { createHash } from "node:crypto";
import { type Kysely, type Selectable, sql } from "kysely";
import { BatchWriter, type BatchWriterOptions } from "./batch-writer.ts";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import { storableText } from "./database.ts";
import type { Page, PageRequest } from "./ports.ts";
import type { AuditTable, Tables } from "./tables.ts";

/** One change that was asked for, and how it was answered. */
export interface AuditEntry {
  /** ISO 8601 in UTC. */
  readonly at: string;
  /** The token's or person's name. */
  readonly who: string;
  readonly role: string | null;
  /** The address it came from. */
  readonly peer: string;
  /** "PATCH /api/v1/devices/pump-7". */
  readonly action: string;
  /** The status it was answered with. */
  readonly outcome: number;
}

export type AuditLine = AuditEntry & {
  /** From 1 on, without a gap. */
  readonly id: number;
  /** SHA-256 over the line before and this one, hex. */
  readonly hash: string;
};

/** Whether the chain holds. `brokenAtId` is the first line that does not follow from the one before it. */
export type AuditVerification =
  | { readonly isWhole: true; readonly count: number; readonly lastHash: string }
  | { readonly isWhole: false; readonly count: number; readonly brokenAtId: number };

/** Names the lock behind which one server at a time continues the chain. */
const AUDIT_LOCK = 7_104_531_884;
/** What the first line follows. */
const GENESIS = "0".repeat(64);
const ROWS_AT_ONCE = 5000;

export class AuditStore {
  readonly #tables: Kysely<Tables>;
  readonly #writer: BatchWriter<AuditEntry>;
  #nextKey = 0;

  constructor(tables: Kysely<Tables>, options: BatchWriterOptions = {}) {
    this.#tables = tables;
    this.#writer = new BatchWriter((entries) => this.#write(entries), { ...options, flushAfterMs: 50 });
  }

  /**
   * Writes soon; in the order of the calls. Waits out an outage of the database.
   *
   * @returns False when too many wait and this one was dropped: then the request must be refused.
   */
  queue(entry: AuditEntry): boolean {
    this.#nextKey += 1;
    return this.#writer.put(`${this.#nextKey}`, entry);
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  /** Newest first. */
  async list(page: PageRequest): Promise<Page<AuditLine>> {
    let query = this.#tables.selectFrom("audit").selectAll();
    if (page.cursor !== undefined) query = query.where("id", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("id", "desc")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: (row) => row, position: (row) => row.id });
  }

  /** Reads the whole chain and recomputes every hash. */
  async verify(): Promise<AuditVerification> {
    let last: Pick<AuditLine, "id" | "hash"> = { id: 0, hash: GENESIS };
    for (;;) {
      const lines: Selectable<AuditTable>[] = await this.#tables
        .selectFrom("audit")
        .selectAll()
        .where("id", ">", last.id)
        .orderBy("id")
        .limit(ROWS_AT_ONCE)
        .execute();
      for (const line of lines) {
        if (line.id !== last.id + 1 || line.hash !== hashOf(last.hash, line))
          return { isWhole: false, count: last.id, brokenAtId: last.id + 1 };
        last = line;
      }
      if (lines.length < ROWS_AT_ONCE) return { isWhole: true, count: last.id, lastHash: last.hash };
    }
  }

  async #write(entries: readonly AuditEntry[]): Promise<void> {
    await this.#tables.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${AUDIT_LOCK})`.execute(transaction);
      const newest = await transaction
        .selectFrom("audit")
        .select(["id", "hash"])
        .orderBy("id", "desc")
        .limit(1)
        .executeTakeFirst();
      let last = newest ?? { id: 0, hash: GENESIS };
      const lines = entries.map((entry) => {
        const line = { ...storable(entry), id: last.id + 1 };
        last = { id: line.id, hash: hashOf(last.hash, line) };
        return { ...line, hash: last.hash };
      });
      await transaction.insertInto("audit").values(lines).execute();
    });
  }
}

/** What is hashed is what is stored. */
const storable = ({ at, who, role, peer, action, outcome }: AuditEntry): AuditEntry => ({
  at,
  who: storableText(who),
  role: role === null ? null : storableText(role),
  peer: storableText(peer),
  action: storableText(action),
  outcome,
});

/** JSON keeps the fields apart whatever they hold. */
const hashOf = (before: string, { id, at, who, role, peer, action, outcome }: Omit<AuditLine, "hash">): string =>
  createHash("sha256")
    .update(JSON.stringify([before, id, at, who, role, peer, action, outcome]))
    .digest("hex");
