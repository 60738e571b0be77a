/** Keys of devices, groups and releases: 16 octets of key and 9 of IV each, sealed under the master key for the place they belong to. */
import { randomBytes } from "node:crypto";
import { type Kysely, sql } from "kysely";
import type { MasterKeys } from "./master-keys.ts";
import type { Tables } from "./tables.ts";

/** A key and its IV. */
export interface ChannelKeys {
  /** Sixteen octets. */
  readonly key: Uint8Array;
  /** Nine octets. */
  readonly iv: Uint8Array;
}

export const devicePlace = (endpoint: string): string => `device ${endpoint}`;
export const groupPlace = (groupId: string, generation: number): string => `group ${groupId} ${generation}`;
export const releasePlace = (imageId: string): string => `release ${imageId}`;

const KEY_BYTES = 16;
const IV_BYTES = 9;
const placeOf = (place: string): string => `mesh\0${place}`;

/** New ones, for a group. */
export const drawChannel = (): ChannelKeys => ({ key: randomBytes(KEY_BYTES), iv: randomBytes(IV_BYTES) });

/** Unsealed keys that are kept in memory: 100,000 devices take 20 MB. */
const MOST_REMEMBERED = 100_000;
const ROWS_AT_ONCE = 500;

export class MeshSecrets {
  readonly #tables: Kysely<Tables>;
  readonly #keys: MasterKeys;
  readonly #known = new Map<string, ChannelKeys>();

  constructor(tables: Kysely<Tables>, keys: MasterKeys) {
    this.#tables = tables;
    this.#keys = keys;
  }

  /** Keeps the keys of a place that has none. @returns False when it has some already: they stay. */
  async keep(transaction: Kysely<Tables>, place: string, { key, iv }: ChannelKeys): Promise<boolean> {
    return await this.keepText(transaction, place, Buffer.concat([key, iv]));
  }

  async keepText(transaction: Kysely<Tables>, place: string, secret: Uint8Array): Promise<boolean> {
    const { keyVersion, bytes } = this.#keys.seal(secret, placeOf(place));
    const row = await transaction
      .insertInto("mesh_secrets")
      .values({ place, secret: bytes, key_version: keyVersion })
      .onConflict((conflict) => conflict.doNothing())
      .returning("place")
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Of those of these places that have keys. @throws {EnvironmentError} SEALED */
  async getMany(places: readonly string[], tables = this.#tables): Promise<ReadonlyMap<string, ChannelKeys>> {
    const missing = places.filter((place) => !this.#known.has(place));
    if (missing.length > 0) {
      const rows = await tables.selectFrom("mesh_secrets").selectAll().where("place", "in", missing).execute();
      if (this.#known.size + rows.length > MOST_REMEMBERED) this.#known.clear();
      for (const { place, secret, key_version } of rows) {
        const plain = this.#keys.unseal({ keyVersion: key_version, bytes: secret }, placeOf(place));
        this.#known.set(place, { key: plain.subarray(0, KEY_BYTES), iv: plain.subarray(KEY_BYTES) });
      }
    }
    const found = new Map<string, ChannelKeys>();
    for (const place of places) {
      const keys = this.#known.get(place);
      if (keys !== undefined) found.set(place, keys);
    }
    return found;
  }

  async get(place: string, tables = this.#tables): Promise<ChannelKeys | undefined> {
    return (await this.getMany([place], tables)).get(place);
  }

  /** A secret that is no pair of key and IV. */
  async textOf(place: string): Promise<Buffer | undefined> {
    const row = await this.#tables.selectFrom("mesh_secrets").selectAll().where("place", "=", place).executeTakeFirst();
    return row && this.#keys.unseal({ keyVersion: row.key_version, bytes: row.secret }, placeOf(place));
  }
}

/** Seals some under the current master key. @returns How many. */
export async function resealMeshSecrets(transaction: Kysely<Tables>, keys: MasterKeys): Promise<number> {
  const rows = await transaction
    .selectFrom("mesh_secrets")
    .selectAll()
    .where("key_version", "!=", keys.currentVersion)
    .limit(ROWS_AT_ONCE)
    .forUpdate()
    .execute();
  if (rows.length === 0) return 0;
  const sealed = rows.map(({ place, secret, key_version }) =>
    keys.seal(keys.unseal({ keyVersion: key_version, bytes: secret }, placeOf(place)), placeOf(place)),
  );
  await sql`update mesh_secrets set secret = fresh.secret, key_version = ${keys.currentVersion}
    from unnest(${rows.map(({ place }) => place)}::text[], ${sealed.map(({ bytes }) => bytes)}::bytea[]) as fresh(place, secret)
    where mesh_secrets.place = fresh.place`.execute(transaction);
  return rows.length;
}
