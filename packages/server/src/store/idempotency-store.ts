/** Answers to unsafe requests, kept so that a client that heard nothing may ask again without doing it twice. */
import { type Kysely, sql } from "kysely";
import type { IdempotencyStore, KeptAnswer, KeyClaim } from "./ports.ts";
import type { Tables } from "./tables.ts";

/** A client that asks again does so within a day. */
const KEPT_FOR = sql`interval '24 hours'`;
/** A request that has not ended by now died with its server. */
const LONGEST_RUN = sql`interval '15 minutes'`;

export class PostgresIdempotencyStore implements IdempotencyStore {
  readonly #tables: Kysely<Tables>;

  constructor(tables: Kysely<Tables>) {
    this.#tables = tables;
  }

  async claim(key: string, fingerprint: string): Promise<KeyClaim> {
    await sql`delete from kept_answers
      where created_at < now() - ${KEPT_FOR} or (status is null and created_at < now() - ${LONGEST_RUN})`.execute(
      this.#tables,
    );
    const { numInsertedOrUpdatedRows } = await this.#tables
      .insertInto("kept_answers")
      .values({ key, fingerprint })
      .onConflict((conflict) => conflict.column("key").doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows === 1n) return { kind: "mine" };
    const row = await this.#tables.selectFrom("kept_answers").selectAll().where("key", "=", key).executeTakeFirst();
    if (row === undefined) return { kind: "running" };
    if (row.fingerprint !== fingerprint) return { kind: "otherRequest" };
    if (row.status === null || row.content_type === null || row.body === null) return { kind: "running" };
    return {
      kind: "kept",
      answer: { status: row.status, contentType: row.content_type, body: row.body, headers: row.headers },
    };
  }

  async keep(key: string, { status, contentType, body, headers }: KeptAnswer): Promise<void> {
    await this.#tables
      .updateTable("kept_answers")
      .set({ status, content_type: contentType, body, headers: JSON.stringify(headers) })
      .where("key", "=", key)
      .execute();
  }

  async release(key: string): Promise<void> {
    await this.#tables.deleteFrom("kept_answers").where("key", "=", key).where("status", "is", null).execute();
  }
}
