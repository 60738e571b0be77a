/** The statements that change credentials, each with the events that tell of it. No event ever holds a key. */
import { randomBytes } from "node:crypto";
import type { CredentialKind } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type Selectable, sql } from "kysely";
import type { ProvenIdentity } from "../fleet/credentials.ts";
import type { DeviceCredentialTable } from "./access-tables.ts";
import type { CredentialMaterial } from "./credential-material.ts";
import type { Written } from "./journal.ts";
import type { MasterKeys, Sealed } from "./master-keys.ts";
import type { NewEvent } from "./ports.ts";
import type { Tables } from "./tables.ts";

export type CredentialRow = Selectable<DeviceCredentialTable>;

/** One that is about to be added; `overlapMs` undefined = the others end when it is first used, null = they stay. */
export interface Addition {
  readonly endpoint: string;
  readonly material: CredentialMaterial;
  readonly keys: MasterKeys;
  readonly limit: number;
  readonly overlapMs: number | undefined | null;
}

/** Where a key is sealed: it opens for this device under this identity and nowhere else. */
export const placeOf = ({
  id,
  endpoint,
  kind,
  identity,
}: Pick<CredentialRow, "id" | "endpoint" | "kind" | "identity">) =>
  `credential\0${id}\0${kind}\0${identity}\0${endpoint}`;

/** The pre-shared key of a row, null when it is of another kind. */
export function keyOf(row: CredentialRow, keys: MasterKeys): Buffer | null {
  if (row.secret === null || row.key_version === null) return null;
  return keys.unseal({ keyVersion: row.key_version, bytes: row.secret }, placeOf(row));
}

/** As the doors know it. */
export function provenAs({
  kind,
  identity,
  endpoint,
}: Pick<CredentialRow, "kind" | "identity" | "endpoint">): ProvenIdentity {
  return kind === "psk" ? { kind, name: identity } : { kind, name: endpoint, fingerprint: identity };
}

/** @throws {UsageError} CREDENTIAL_EXISTS, CREDENTIALS_FULL */
export async function addCredential(transaction: Kysely<Tables>, addition: Addition): Promise<Written<CredentialRow>> {
  const { endpoint, material, keys, limit, overlapMs } = addition;
  const { kind, identity, purpose, publicPem: public_pem, key } = material;
  await lockEndpoint(transaction, endpoint);
  await refuseTooMany(transaction, endpoint, limit);
  const id = randomBytes(8).toString("hex");
  const sealed: Sealed | null = key && keys.seal(key, placeOf({ id, endpoint, kind, identity }));
  const row = await transaction
    .insertInto("device_credentials")
    .values({
      ...{ id, endpoint, kind, purpose, identity, public_pem },
      ...{ secret: sealed?.bytes ?? null, key_version: sealed?.keyVersion ?? null, successor: null },
    })
    .onConflict((conflict) => conflict.columns(["kind", "identity"]).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (row === undefined)
    throw new UsageError("CREDENTIAL_EXISTS", `${WORDS[kind]} ${identity} belongs to a credential already`, {
      kind,
      identity,
    });
  const event = eventOf("credential.added", row, `${WORDS[kind]} ${identity} may speak for ${endpoint}${atPlace(row)}`);
  if (overlapMs === null) return { result: row, events: [event] };
  await supersede(transaction, row, overlapMs);
  return { result: row, events: [event] };
}

/** Ends one credential; a certificate stays as withdrawn. @throws {UsageError} UNKNOWN_CREDENTIAL */
export async function removeCredential(
  transaction: Kysely<Tables>,
  endpoint: string,
  id: string,
): Promise<Written<readonly CredentialRow[]>> {
  const row = await transaction
    .selectFrom("device_credentials")
    .selectAll()
    .where("id", "=", id)
    .where("endpoint", "=", endpoint)
    .where("withdrawn_at", "is", null)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined)
    throw new UsageError("UNKNOWN_CREDENTIAL", `${endpoint} has no credential ${id}`, { endpoint, id });
  return await end(transaction, [row], "withdrawn");
}

/** Ends those that `successor` replaces: it was used. */
export async function endReplaced(transaction: Kysely<Tables>, successor: CredentialRow) {
  const rows = await transaction
    .selectFrom("device_credentials")
    .selectAll()
    .where("successor", "=", successor.id)
    .where("withdrawn_at", "is", null)
    .forUpdate()
    .execute();
  return await end(transaction, rows, `ended: ${WORDS[successor.kind]} ${successor.identity} is in use`);
}

/** Ends those whose time has come. */
export async function endDue(transaction: Kysely<Tables>): Promise<Written<readonly CredentialRow[]>> {
  const rows = await transaction
    .selectFrom("device_credentials")
    .selectAll()
    .where("ends_at", "<=", sql<Date>`now()`)
    .where("withdrawn_at", "is", null)
    .limit(500)
    .forUpdate()
    .skipLocked()
    .execute();
  return await end(transaction, rows, "ended: the time in which old and new were valid is over");
}

const WORDS: Readonly<Record<CredentialKind, string>> = {
  psk: "PSK identity",
  rpk: "public key",
  x509: "certificate",
};

const atPlace = ({ purpose }: CredentialRow): string => (purpose === "bootstrap" ? ", to be bootstrapped only" : "");

async function lockEndpoint(transaction: Kysely<Tables>, endpoint: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(7104531, hashtext(${endpoint}))`.execute(transaction);
}

async function refuseTooMany(transaction: Kysely<Tables>, endpoint: string, limit: number): Promise<void> {
  const { count } = await transaction
    .selectFrom("device_credentials")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("endpoint", "=", endpoint)
    .where("withdrawn_at", "is", null)
    .executeTakeFirstOrThrow();
  if (count >= limit)
    throw new UsageError("CREDENTIALS_FULL", `${endpoint} has ${count} credentials: remove one first`, { limit });
}

/** Marks all others of the same place, also those that wait for an earlier successor. */
async function supersede(transaction: Kysely<Tables>, row: CredentialRow, overlapMs: number | undefined) {
  const endsAt = overlapMs === undefined ? null : new Date(row.created_at.getTime() + overlapMs);
  await transaction
    .updateTable("device_credentials")
    .set({ successor: row.id, ends_at: sql<Date | null>`least(ends_at, ${endsAt}::timestamptz)` })
    .where("endpoint", "=", row.endpoint)
    .where("purpose", "=", row.purpose)
    .where("id", "!=", row.id)
    .where("withdrawn_at", "is", null)
    .execute();
}

async function end(
  transaction: Kysely<Tables>,
  rows: readonly CredentialRow[],
  why: string,
): Promise<Written<readonly CredentialRow[]>> {
  const idsOf = (isKept: boolean) => rows.filter((row) => (row.kind === "x509") === isKept).map(({ id }) => id);
  const [deleted, kept] = [idsOf(false), idsOf(true)];
  if (deleted.length > 0) await transaction.deleteFrom("device_credentials").where("id", "in", deleted).execute();
  if (kept.length > 0)
    await transaction
      .updateTable("device_credentials")
      .set({ withdrawn_at: sql<Date>`now()`, ends_at: null })
      .where("id", "in", kept)
      .execute();
  const events = rows.map((row) => eventOf("credential.ended", row, `${WORDS[row.kind]} ${row.identity} ${why}`));
  return { result: rows, events };
}

function eventOf(kind: "credential.added" | "credential.ended", row: CredentialRow, sentence: string): NewEvent {
  const { id, endpoint, purpose, identity } = row;
  return { kind, endpoint, sentence, facts: { credentialId: id, credentialKind: row.kind, purpose, identity } };
}
