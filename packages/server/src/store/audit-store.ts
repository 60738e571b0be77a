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
import type { AuditTable } from "./record-tables.ts";
import type { Tables } from "./tables.ts";

/** One change that was asked for, and how it was answered. */
export interface AuditEntry {
  /** ISO 8601 in UTC. */
  readonly at: string;
  /** The token's or person's name. */
  readonly who: string;
  /** Who that is, whatever they are called: see `PersonId`. null = nobody was asked, or nothing good was shown. */
  readonly person: string | null;
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

/** A line's number and hash: what came up to it can be told from anything else. */
export type Checkpoint = Pick<AuditLine, "id" | "hash">;

/** Whether the chain holds. `brokenAtId` is the first line that is missing, or does not follow from the one before it. */
export type AuditVerification = {
  /** The oldest line that is kept: 1 unless the chain was cut. */
  readonly firstId: number;
  /** Lines that hold. */
  readonly count: number;
} & (
  | { readonly isWhole: true; readonly lastId: number; readonly lastHash: string }
  | { readonly isWhole: false; readonly brokenAtId: number }
);

/** Names the lock behind which one server at a time continues the chain. */
const AUDIT_LOCK = 7_104_531_884;
/** What the first line follows. */
const GENESIS = "0".repeat(64);
const ROWS_AT_ONCE = 5000;
/** The line that tells of a cut says what the lines before it ended with. */
const CUT = /^audit cut: lines to (\d{1,15}) hash ([0-9a-f]{64})$/;
const cutAction = ({ id, hash }: Checkpoint): string => `audit cut: lines to ${id} hash ${hash}`;

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

  /** Lines that wait to be written. */
  get waitingRows(): number {
    return this.#writer.waitingRows;
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  /** Newest first, unless the oldest are asked for first. */
  async list(page: PageRequest, order: "asc" | "desc" = "desc"): Promise<Page<AuditLine>> {
    let query = this.#tables.selectFrom("audit").selectAll();
    if (page.cursor !== undefined)
      query = query.where("id", order === "asc" ? ">" : "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("id", order)
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: (row) => row, position: (row) => row.id });
  }

  /**
   * Reads the whole chain and recomputes every hash.
   *
   * @param since An earlier end of the chain: it has to be in there still, or to lie before the cut.
   */
  async verify(since?: Checkpoint): Promise<AuditVerification> {
    const start = await this.#start();
    const firstId = start.id + 1;
    let last = start;
    const broken = (brokenAtId: number) =>
      ({ isWhole: false, firstId, count: last.id - start.id, brokenAtId }) as const;
    for (;;) {
      const lines = await this.#linesAfter(last.id);
      for (const line of lines) {
        if (line.id !== last.id + 1 || line.hash !== hashOf(last.hash, line)) return broken(last.id + 1);
        if (line.id === since?.id && line.hash !== since.hash) return broken(line.id);
        last = line;
      }
      if (lines.length < ROWS_AT_ONCE) break;
    }
    if (since !== undefined && since.id > last.id) return broken(last.id + 1);
    return { isWhole: true, firstId, count: last.id - start.id, lastId: last.id, lastHash: last.hash };
  }

  /**
   * Deletes the lines before a moment, and says so in a line of the chain that holds what they ended with.
   *
   * @param entry Who cuts; its action is written here.
   * @returns The last line that was deleted; undefined when there is none so old.
   */
  async cut(before: Date, entry: Omit<AuditEntry, "action">): Promise<(Checkpoint & { count: number }) | undefined> {
    await this.flush();
    return await this.#tables.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${AUDIT_LOCK})`.execute(transaction);
      const last = await transaction
        .selectFrom("audit")
        .select(["id", "hash"])
        .where("at", "<", before.toISOString())
        .orderBy("id", "desc")
        .limit(1)
        .executeTakeFirst();
      if (last === undefined) return undefined;
      await appendLines(transaction, [{ ...entry, action: cutAction(last) }]);
      const { numDeletedRows } = await transaction
        .deleteFrom("audit")
        .where("id", "<=", last.id)
        .executeTakeFirstOrThrow();
      return { ...last, count: Number(numDeletedRows) };
    });
  }

  /** What the first line follows: nothing, or what the newest line of a cut says. */
  async #start(): Promise<Checkpoint> {
    const first = await this.#tables.selectFrom("audit").select("id").orderBy("id").limit(1).executeTakeFirst();
    const start = { id: 0, hash: GENESIS };
    if (first === undefined || first.id === 1) return start;
    const cuts = await this.#tables
      .selectFrom("audit")
      .select("action")
      .where("action", "like", "audit cut: %")
      .orderBy("id", "desc")
      .execute();
    for (const { action } of cuts) {
      const [, id, hash] = CUT.exec(action) ?? [];
      if (hash !== undefined && Number(id) === first.id - 1) return { id: Number(id), hash };
    }
    return start;
  }

  async #linesAfter(id: number): Promise<Selectable<AuditTable>[]> {
    return await this.#tables
      .selectFrom("audit")
      .selectAll()
      .where("id", ">", id)
      .orderBy("id")
      .limit(ROWS_AT_ONCE)
      .execute();
  }

  async #write(entries: readonly AuditEntry[]): Promise<void> {
    await this.#tables.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${AUDIT_LOCK})`.execute(transaction);
      await appendLines(transaction, entries);
    });
  }
}

/** Continues the chain; the lock is held. */
async function appendLines(transaction: Kysely<Tables>, entries: readonly AuditEntry[]): Promise<void> {
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
}

/** What is hashed is what is stored. */
const storable = ({ at, who, person, role, peer, action, outcome }: AuditEntry): AuditEntry => ({
  at,
  who: storableText(who),
  person: person === null ? null : storableText(person),
  role: role === null ? null : storableText(role),
  peer: storableText(peer),
  action: storableText(action),
  outcome,
});

/** JSON keeps the fields apart whatever they hold. A line without a person is hashed as one from before they were kept. */
const hashOf = (
  before: string,
  { id, at, who, role, peer, action, outcome, person }: Omit<AuditLine, "hash">,
): string =>
  createHash("sha256")
    .update(JSON.stringify([before, id, at, who, role, peer, action, outcome, ...(person === null ? [] : [person])]))
    .digest("hex");
