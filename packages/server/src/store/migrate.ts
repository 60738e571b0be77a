/** Brings the database's tables to this program's version: forward only, one program at a time. */
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import { FIRST } from "./migrations/0001-first.ts";
import { CREDENTIALS } from "./migrations/0002-credentials.ts";
import { EXCHANGES } from "./migrations/0003-exchanges.ts";
import { DEVICE_REQUESTS } from "./migrations/0004-device-requests.ts";
import { INVENTORY } from "./migrations/0005-inventory.ts";
import { NODES } from "./migrations/0006-nodes.ts";
import { AUDIT } from "./migrations/0007-audit.ts";
import { CAMPAIGNS } from "./migrations/0008-campaigns.ts";
import { FLEET_DAYS } from "./migrations/0009-fleet-days.ts";
import { MESH } from "./migrations/0010-mesh.ts";
import { RECORDS } from "./migrations/0011-records.ts";
import { SEVERAL_SERVERS } from "./migrations/0012-several-servers.ts";
import { IDENTITIES } from "./migrations/0013-identities.ts";
import { BROADCAST_ROUNDS } from "./migrations/0014-broadcast-rounds.ts";
import { ROOM_FOR_CHANGES } from "./migrations/0015-room-for-changes.ts";
import { ENDED_BADLY } from "./migrations/0016-ended-badly.ts";
import { DELTAS } from "./migrations/0017-deltas.ts";
import { DELIVERED_BYTES } from "./migrations/0018-delivered-bytes.ts";
import { PERMITS } from "./migrations/0019-permits.ts";
import { REASONS_AND_WAVES } from "./migrations/0020-reasons-and-waves.ts";
import { OBSERVATION_FORMATS } from "./migrations/0021-observation-formats.ts";
import { HOMES } from "./migrations/0022-homes.ts";
import type { Tables } from "./tables.ts";

export interface Migration {
  readonly name: string;
  /** Statements separated by semicolons, run in the transaction that also records the migration. */
  readonly sql: string;
}

/** Every migration in order; its number is its place, from 1. A published one never changes. */
export const MIGRATIONS: readonly Migration[] = [
  { name: "first", sql: FIRST },
  { name: "credentials", sql: CREDENTIALS },
  { name: "exchanges", sql: EXCHANGES },
  { name: "device requests", sql: DEVICE_REQUESTS },
  { name: "inventory", sql: INVENTORY },
  { name: "nodes", sql: NODES },
  { name: "audit", sql: AUDIT },
  { name: "campaigns", sql: CAMPAIGNS },
  { name: "fleet days", sql: FLEET_DAYS },
  { name: "mesh", sql: MESH },
  { name: "records", sql: RECORDS },
  { name: "several servers", sql: SEVERAL_SERVERS },
  { name: "identities", sql: IDENTITIES },
  { name: "broadcast rounds", sql: BROADCAST_ROUNDS },
  { name: "room for changes", sql: ROOM_FOR_CHANGES },
  { name: "ended badly", sql: ENDED_BADLY },
  { name: "deltas", sql: DELTAS },
  { name: "delivered bytes", sql: DELIVERED_BYTES },
  { name: "permits", sql: PERMITS },
  { name: "reasons and waves", sql: REASONS_AND_WAVES },
  { name: "observation formats", sql: OBSERVATION_FORMATS },
  { name: "homes", sql: HOMES },
];

/** Names the lock that keeps two starting servers apart; any number that nobody else uses. */
const MIGRATION_LOCK = 7_104_531_881;

/**
 * Applies what is missing.
 *
 * @returns How many migrations were applied.
 * @throws {UsageError} DATABASE_NEWER when a newer program has changed the database.
 * @throws {EnvironmentError} MIGRATION when a statement fails; that migration left no trace.
 */
export async function migrate(
  database: Kysely<Tables>,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number> {
  return await database.connection().execute(async (connection) => {
    // A million rows are rewritten in their own time, and whoever starts meanwhile waits for that.
    await sql`set statement_timeout = 0`.execute(connection);
    await sql`select pg_advisory_lock(${MIGRATION_LOCK})`.execute(connection);
    try {
      return await applyMissing(connection, migrations);
    } finally {
      await sql`select pg_advisory_unlock(${MIGRATION_LOCK})`.execute(connection);
      await sql`reset statement_timeout`.execute(connection);
    }
  });
}

async function applyMissing(connection: Kysely<Tables>, migrations: readonly Migration[]): Promise<number> {
  await sql`create table if not exists applied_migrations (
    number integer primary key, name text not null, applied_at timestamptz(3) not null default now())`.execute(
    connection,
  );
  const newest = await connection
    .selectFrom("applied_migrations")
    .select(({ fn }) => fn.max("number").as("number"))
    .executeTakeFirst();
  const applied = newest?.number ?? 0;
  if (applied > migrations.length)
    throw new UsageError(
      "DATABASE_NEWER",
      `the database has version ${applied}, this program knows ${migrations.length}: start a newer airlift`,
      { databaseVersion: applied, programVersion: migrations.length },
    );
  for (const [offset, migration] of migrations.slice(applied).entries())
    await apply(connection, migration, applied + offset + 1);
  return migrations.length - applied;
}

async function apply(connection: Kysely<Tables>, migration: Migration, number: number): Promise<void> {
  try {
    await connection.transaction().execute(async (transaction) => {
      await sql.raw(migration.sql).execute(transaction);
      await transaction.insertInto("applied_migrations").values({ number, name: migration.name }).execute();
    });
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EnvironmentError(
      "MIGRATION",
      `database migration ${number} (${migration.name}) failed: ${reason}`,
      { number },
      { cause: error },
    );
  }
}
