/** The authorities of device certificates. */
import type { CertificateAuthority } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type Selectable, sql } from "kysely";
import type { CertificateAuthorityTable } from "./access-tables.ts";
import { readAuthority } from "./credential-material.ts";
import type { Journal } from "./journal.ts";
import { ShortCache } from "./short-cache.ts";
import type { Tables } from "./tables.ts";

/** Every certificate handshake looks at all of them. */
const MOST_AUTHORITIES = 100;
/** Single certificates are trust anchors as well; a fleet of certificates wants an authority. */
const MOST_SINGLE_CERTIFICATES = 1000;

interface Anchors {
  readonly pem: string;
  readonly authorityCount: number;
}

export class AuthorityTable {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #anchors: ShortCache<Anchors>;
  readonly #listeners = new Set<() => void>();
  #toldPem: string | undefined;

  constructor(tables: Kysely<Tables>, journal: Journal, cacheLifetimeMs: number) {
    this.#tables = tables;
    this.#journal = journal;
    this.#anchors = new ShortCache({ entryCount: 1, lifetimeMs: cacheLifetimeMs });
  }

  async pem(): Promise<string> {
    return (await this.#read()).pem;
  }

  async count(): Promise<number> {
    return (await this.#read()).authorityCount;
  }

  async list(): Promise<CertificateAuthority[]> {
    const rows = await this.#tables
      .selectFrom("certificate_authorities")
      .selectAll()
      .orderBy("created_at")
      .orderBy("fingerprint")
      .execute();
    return rows.map(toAuthority);
  }

  /** @throws {UsageError} AUTHORITY, AUTHORITIES_FULL */
  async add(certificatePem: string): Promise<CertificateAuthority> {
    const { fingerprint, subject, pem, validUntil } = readAuthority(certificatePem);
    if ((await this.list()).length >= MOST_AUTHORITIES)
      throw new UsageError("AUTHORITIES_FULL", `there are ${MOST_AUTHORITIES} authorities: remove one first`);
    const { result } = await this.#journal.write(async (transaction) => {
      const added = await transaction
        .insertInto("certificate_authorities")
        .values({ fingerprint, subject, pem, valid_until: validUntil })
        .onConflict((conflict) => conflict.column("fingerprint").doNothing())
        .returningAll()
        .executeTakeFirst();
      const row = await transaction
        .selectFrom("certificate_authorities")
        .selectAll()
        .where("fingerprint", "=", fingerprint)
        .executeTakeFirstOrThrow();
      const sentence = `certificates of ${subject} may speak for the devices they name`;
      const event = { kind: "authority.added", sentence, facts: { fingerprint, subject } } as const;
      return { result: row, events: added === undefined ? [] : [event] };
    });
    return toAuthority(result);
  }

  /** @throws {UsageError} UNKNOWN_AUTHORITY */
  async remove(fingerprint: string): Promise<void> {
    await this.#journal.write(async (transaction) => {
      const row = await transaction
        .deleteFrom("certificate_authorities")
        .where("fingerprint", "=", fingerprint)
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) throw new UsageError("UNKNOWN_AUTHORITY", `there is no authority ${fingerprint}`);
      const sentence = `certificates of ${row.subject} are not believed any more`;
      const event = { kind: "authority.removed", sentence, facts: { fingerprint, subject: row.subject } } as const;
      return { result: undefined, events: [event] };
    });
  }

  subscribe(onChange: () => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  /** To be called when what `pem` answers may be another thing from now on. */
  changed(): void {
    this.#anchors.clear();
    this.#toldPem = undefined;
    for (const listener of this.#listeners) listener();
  }

  /** Sees what another server changed. */
  async refresh(): Promise<void> {
    const pem = await this.pem();
    const isNews = this.#toldPem !== undefined && this.#toldPem !== pem;
    this.#toldPem = pem;
    if (isNews) for (const listener of this.#listeners) listener();
  }

  async #read(): Promise<Anchors> {
    const anchors = await this.#anchors.get("", async () => {
      const authorities = await this.#tables
        .selectFrom("certificate_authorities")
        .select("pem")
        .orderBy("fingerprint")
        .limit(MOST_AUTHORITIES)
        .execute();
      const single = await this.#tables
        .selectFrom("device_credentials")
        .select("public_pem as pem")
        .where("kind", "=", "x509")
        .where("withdrawn_at", "is", null)
        .where((where) => where.or([where("ends_at", "is", null), where("ends_at", ">", sql<Date>`now()`)]))
        .orderBy("identity")
        .limit(MOST_SINGLE_CERTIFICATES)
        .execute();
      return { pem: [...authorities, ...single].map(({ pem }) => pem).join(""), authorityCount: authorities.length };
    });
    return anchors as Anchors;
  }
}

function toAuthority(row: Selectable<CertificateAuthorityTable>): CertificateAuthority {
  return {
    fingerprint: row.fingerprint,
    subject: row.subject,
    validUntil: row.valid_until.toISOString(),
    createdAt: row.created_at.toISOString(),
  };
}
