/** Seals device keys, and the secrets of webhooks, under the current master key, some at a time: what is done stays done when it is interrupted. */
import { type Kysely, sql } from "kysely";
import { keyOf, placeOf } from "./credential-changes.ts";
import type { MasterKeys } from "./master-keys.ts";
import { resealMeshSecrets } from "./mesh-secrets.ts";
import type { Tables } from "./tables.ts";
import { webhookPlace } from "./webhook-store.ts";

const BATCH_ROWS = 500;

/** @returns How many were sealed anew. */
export async function resealAll(tables: Kysely<Tables>, keys: MasterKeys): Promise<number> {
  for (let total = 0; ; ) {
    const count = await tables
      .transaction()
      .execute(
        async (transaction) => (await resealSome(transaction, keys)) + (await resealMeshSecrets(transaction, keys)),
      );
    if (count === 0) return total + (await tables.transaction().execute((last) => resealWebhooks(last, keys)));
    total += count;
  }
}

/** There are few of them. */
async function resealWebhooks(transaction: Kysely<Tables>, keys: MasterKeys): Promise<number> {
  const rows = await transaction
    .selectFrom("webhooks")
    .select(["id", "secret", "key_version"])
    .where("key_version", "!=", keys.currentVersion)
    .forUpdate()
    .execute();
  for (const { id, secret, key_version } of rows) {
    const plain = keys.unseal({ keyVersion: key_version, bytes: secret }, webhookPlace(id));
    const { keyVersion, bytes } = keys.seal(plain, webhookPlace(id));
    await transaction
      .updateTable("webhooks")
      .set({ secret: bytes, key_version: keyVersion })
      .where("id", "=", id)
      .execute();
  }
  return rows.length;
}

async function resealSome(transaction: Kysely<Tables>, keys: MasterKeys): Promise<number> {
  const rows = await transaction
    .selectFrom("device_credentials")
    .selectAll()
    .where("key_version", "!=", keys.currentVersion)
    .limit(BATCH_ROWS)
    .forUpdate()
    .execute();
  if (rows.length === 0) return 0;
  const sealed = rows.map((row) => keys.seal(keyOf(row, keys) as Buffer, placeOf(row)));
  await sql`update device_credentials set secret = fresh.secret, key_version = ${keys.currentVersion}
    from unnest(${rows.map(({ id }) => id)}::text[], ${sealed.map(({ bytes }) => bytes)}::bytea[]) as fresh(id, secret)
    where device_credentials.id = fresh.id`.execute(transaction);
  return rows.length;
}
