/** The connection to PostgreSQL: a bounded pool whose failures are told apart from mistakes in a statement. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { Kysely, PostgresDialect, type PostgresPool } from "kysely";
import pg from "pg";
import { Outage, type OutageListener } from "./outage.ts";
import type { Tables } from "./tables.ts";

export interface DatabaseOptions {
  /** Statements that run at once; the others wait. Default 10. */
  readonly connectionCount?: number;
  /**
   * How long opening a connection may take, and how long a statement may wait for a free one. Default 5 s: a server whose machine stood
   * still for some seconds, or is slow to let it in, has lost nothing; a database that refuses is away at once.
   */
  readonly connectTimeoutMs?: number;
  /** How long one statement may run. Default 30 s. */
  readonly statementTimeoutMs?: number;
  /** Told when the database cannot be reached any more, and when it can again. */
  readonly onOutage?: OutageListener | undefined;
}

export interface Database {
  readonly tables: Kysely<Tables>;
  close(): Promise<void>;
}

/**
 * Conditions of SQLSTATE that say "not now" rather than "never": classes 08, 40 (a deadlock), 53, 57P and 58, a lock that
 * cannot be had, a statement that took too long, and a database that takes no writes because another one is to take over from it.
 */
const AWAY = /^(08|25006|40|53|55P03|57014|57P|58)/;

/**
 * @param url A connection URL; `postgresql:///name?host=/folder&user=name` for a Unix socket.
 * Every statement throws {EnvironmentError} DATABASE_AWAY when the database cannot be reached, and STORE_BUSY when it answers others all
 * the time that no connection is free.
 */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const types = new pg.TypeOverrides();
  // Identities, sizes and counts are bigint columns and far below 2^53.
  types.setTypeParser(pg.types.builtins.INT8, Number);
  const pool = new pg.Pool({
    connectionString: url,
    max: options.connectionCount ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5000,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    application_name: "airlift",
    types,
  });
  // An idle connection that breaks leaves the pool by itself; the next statement reports what is wrong.
  pool.on("error", () => {});
  // So does one that breaks between two statements of a transaction.
  pool.on("connect", (client) => client.on("error", () => {}));
  const tables = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: withOurErrors(pool, new Outage(options.onOutage)) }),
  });
  return { tables, close: () => tables.destroy() };
}

/** What pg says when none became free in time; of one that cannot be opened in time it says another thing. */
const NO_FREE_CONNECTION = "timeout exceeded when trying to connect";

/** The failure in the house's words: DATABASE_AWAY, or what it was. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const isAway =
    AWAY.test(code) ||
    /^E[A-Z]+$/.test(code) ||
    // pg has no codes for these.
    /^(Connection terminated|Client has encountered a connection error|Cannot use a pool)/.test(error.message) ||
    error.message === NO_FREE_CONNECTION;
  if (!isAway) return error;
  return new EnvironmentError(
    "DATABASE_AWAY",
    code === "" ? "the database does not answer" : `the database does not answer (${code})`,
    { reason: code || error.message },
    { cause: error },
  );
}

/** Whether a transaction was ended because it and another one waited for each other, so that it may succeed at once when tried again. */
export const isLockConflict = (error: unknown): boolean =>
  error instanceof EnvironmentError && (error.facts["reason"] === "40P01" || error.facts["reason"] === "40001");

/** Whether a statement failed for a value in it, SQLSTATE classes 22 and 23, so that it never will succeed. */
export const isRowFault = (error: unknown): boolean =>
  error instanceof RangeError || (error instanceof Error && "code" in error && /^2[23]/.test(`${error.code}`));

/** `text` without what PostgreSQL cannot hold: U+0000 and lone surrogates. Devices may send anything. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "");
}

/** Whoever asks for what cannot be held finds nothing, and is no failure of ours. */
const storableParameter = (value: unknown): unknown => (typeof value === "string" ? storableText(value) : value);

/** How JSON writes U+0000 and lone surrogates. */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/;

/** JSON of `value` for a jsonb column, its texts made storable. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value);
  // Almost nothing has such a character in it, and looking for one costs a tenth of mending each text.
  if (!UNSTORABLE.test(json)) return json;
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "string" ? storableText(part) : part));
}

function withOurErrors(pool: pg.Pool, outage: Outage): PostgresPool {
  const failure = (error: unknown): unknown => {
    const known = asStoreError(error);
    outage.failed(known);
    return known;
  };
  /** Whoever waits for a connection cannot tell whether the others wait for the database: it is there if it answers one of them. */
  const waitFailure = (error: unknown, answeredBefore: number): unknown => {
    const isBusy =
      error instanceof Error && error.message === NO_FREE_CONNECTION && outage.answerCount > answeredBefore;
    if (!isBusy) return failure(error);
    const facts = { connectionCount: pool.totalCount };
    return new EnvironmentError("STORE_BUSY", "the database has more to do than it can now", facts, { cause: error });
  };
  const connect = async () => {
    const { answerCount } = outage;
    try {
      const client = await pool.connect();
      const query = async (statement: string, parameters: readonly unknown[]) => {
        try {
          const answer = await client.query(statement, parameters.map(storableParameter));
          outage.answered();
          return answer;
        } catch (error) {
          const known = failure(error);
          // Who refuses a statement for what is in it has answered.
          if (known instanceof pg.DatabaseError) outage.answered();
          throw known;
        }
      };
      return { query, release: (discard?: boolean) => client.release(discard) };
    } catch (error) {
      throw waitFailure(error, answerCount);
    }
  };
  return { connect, end: () => pool.end(), options: pool.options } as unknown as PostgresPool;
}
