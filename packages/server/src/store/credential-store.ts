/** The credentials of devices and their authorities, keys sealed under the master key, look-ups answered from a short memory. */
import type {
  CertificateAuthority,
  CreatedCredential,
  Credential,
  ImportOutcome,
  MasterKeyRotation,
  NewCredential,
} from "@airlift/protocol/api/credentials";
import type { Event } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import type { ProvenIdentity, SpeakingPlace } from "../fleet/credentials.ts";
import { AuthorityTable } from "./authority-table.ts";
import {
  addCredential,
  type CredentialRow,
  endDue,
  endReplaced,
  keyOf,
  provenAs,
  removeCredential,
} from "./credential-changes.ts";
import { importCredentials } from "./credential-import.ts";
import { materialOf } from "./credential-material.ts";
import type { CredentialStore } from "./credential-ports.ts";
import type { Journal, Written } from "./journal.ts";
import { resealAll } from "./master-key-change.ts";
import type { MasterKeys, Sealed } from "./master-keys.ts";
import { ShortCache } from "./short-cache.ts";
import type { Tables } from "./tables.ts";
import { UseTimes } from "./use-times.ts";

export interface CredentialStoreOptions {
  /** Credentials one endpoint may have. Default 4: the old, the new, one for bootstrap, one to spare. */
  readonly endpointLimit?: number;
  /** How old an answer may be, and so how long another server's change may go unseen here. Default 5 s. */
  readonly cacheLifetimeMs?: number;
  /** Credentials remembered. Default 10,000. */
  readonly cacheEntryCount?: number;
}

export interface CredentialStoreParts {
  readonly tables: Kysely<Tables>;
  readonly journal: Journal;
  readonly keys: MasterKeys;
  readonly options?: CredentialStoreOptions | undefined;
}

/** A row with its key opened, and whether others wait for it to be used. */
interface Known {
  readonly row: CredentialRow;
  readonly key: Uint8Array | undefined;
  readonly replaces: boolean;
}

export class PostgresCredentialStore implements CredentialStore {
  readonly #parts: CredentialStoreParts;
  readonly #authorities: AuthorityTable;
  readonly #known: ShortCache<Known>;
  readonly #lists: ShortCache<readonly CredentialRow[]>;
  readonly #uses: UseTimes;
  readonly #withdrawnListeners = new Set<(identity: ProvenIdentity, endpoint: string | undefined) => void>();
  readonly #givenListeners = new Set<(endpoint: string) => void>();
  #isResealed = false;

  constructor(parts: CredentialStoreParts) {
    this.#parts = parts;
    const { cacheEntryCount: entryCount = 10_000, cacheLifetimeMs: lifetimeMs = 5000 } = parts.options ?? {};
    this.#known = new ShortCache({ entryCount, lifetimeMs });
    this.#lists = new ShortCache({ entryCount, lifetimeMs });
    this.#authorities = new AuthorityTable(parts.tables, parts.journal, lifetimeMs);
    this.#uses = new UseTimes(parts.tables, "device_credentials");
    // One way for all changes, whoever made them: what the journal tells.
    parts.journal.subscribe((event) => this.#onEvent(event));
  }

  async psk(identity: string): Promise<Uint8Array | undefined> {
    return (await this.#find("psk", identity))?.key;
  }

  async rpk(fingerprint: string): Promise<string | undefined> {
    return (await this.#find("rpk", fingerprint))?.row.endpoint;
  }

  async authoritiesPem(): Promise<string> {
    return await this.#authorities.pem();
  }

  async endpointOf(identity: ProvenIdentity, place: SpeakingPlace = "device"): Promise<string | undefined> {
    const { kind, name, fingerprint } = identity;
    if (kind === "psk") return await this.#speaker(await this.#find("psk", name), place);
    if (fingerprint !== undefined) {
      const known = await this.#find(kind, fingerprint);
      if (known !== undefined) return known.row.endpoint === name ? await this.#speaker(known, place) : undefined;
      if (kind === "rpk") return undefined;
    }
    return (await this.#isNameGood(identity, place)) ? name : undefined;
  }

  async hasCredentials(endpoint: string): Promise<boolean> {
    return (await this.#rowsOf(endpoint)).some((row) => row.purpose === "device" && isValid(row));
  }

  async withCredentials(endpoints: readonly string[]): Promise<ReadonlySet<string>> {
    if (endpoints.length === 0) return new Set();
    const { rows } = await sql<{ endpoint: string }>`select distinct endpoint from device_credentials
      where endpoint = any(${endpoints}) and purpose = 'device' and withdrawn_at is null
        and (ends_at is null or ends_at > now())`.execute(this.#parts.tables);
    return new Set(rows.map(({ endpoint }) => endpoint));
  }

  onWithdrawn(onChange: (identity: ProvenIdentity, endpoint: string | undefined) => void): () => void {
    this.#withdrawnListeners.add(onChange);
    return () => this.#withdrawnListeners.delete(onChange);
  }

  onGiven(onChange: (endpoint: string) => void): () => void {
    this.#givenListeners.add(onChange);
    return () => this.#givenListeners.delete(onChange);
  }

  onAuthorities(onChange: () => void): () => void {
    return this.#authorities.subscribe(onChange);
  }

  async list(endpoint: string): Promise<Credential[]> {
    // Whether a credential was ever used decides who may be bootstrapped under its name.
    await this.#uses.flush();
    return (await this.#read(endpoint)).map(toCredential);
  }

  async add(endpoint: string, asked: NewCredential): Promise<CreatedCredential> {
    return await this.#add(endpoint, asked, null);
  }

  async rotate(endpoint: string, asked: NewCredential, overlapMs?: number): Promise<CreatedCredential> {
    const created = await this.#add(endpoint, asked, overlapMs);
    if (overlapMs !== undefined && overlapMs <= 0) await this.#end((transaction) => endDue(transaction));
    return created;
  }

  async remove(endpoint: string, id: string): Promise<void> {
    await this.#end((transaction) => removeCredential(transaction, endpoint, id));
  }

  async addAll(items: readonly unknown[]): Promise<ImportOutcome> {
    const { tables, keys } = this.#parts;
    return await importCredentials(items, {
      add: (endpoint, asked) => this.add(endpoint, asked),
      find: async (identities) =>
        await sql<CredentialRow>`select * from device_credentials where identity = any(${identities})`
          .execute(tables)
          .then(({ rows }) => rows),
      keyOf: (row) => keyOf(row, keys),
    });
  }

  authorities = (): Promise<CertificateAuthority[]> => this.#authorities.list();
  addAuthority = (pem: string): Promise<CertificateAuthority> => this.#authorities.add(pem);
  removeAuthority = (fingerprint: string): Promise<void> => this.#authorities.remove(fingerprint);

  async rotateMasterKey(): Promise<MasterKeyRotation> {
    const { keys } = this.#parts;
    await keys.addKey();
    const reencryptedCount = await this.#resealAll();
    await keys.dropOldKeys();
    return { keyVersion: keys.currentVersion, reencryptedCount };
  }

  seal = (secret: Uint8Array, place: string): Sealed => this.#parts.keys.seal(secret, place);
  unseal = (sealed: Sealed, place: string): Buffer => this.#parts.keys.unseal(sealed, place);

  async tidy(): Promise<void> {
    // Who put a new key before the old one by hand wants the old one to be needed no more.
    if (!this.#isResealed && this.#parts.keys.count > 1) await this.#resealAll();
    await this.#uses.flush();
    const { tables } = this.#parts;
    const due = await sql`select 1 from device_credentials
      where ends_at <= now() and withdrawn_at is null limit 1`.execute(tables);
    if (due.rows.length > 0) await this.#end((transaction) => endDue(transaction));
    await this.#authorities.refresh();
  }

  async #resealAll(): Promise<number> {
    const { tables, keys } = this.#parts;
    const count = await resealAll(tables, keys);
    this.#isResealed = true;
    this.#forget();
    return count;
  }

  async #add(endpoint: string, asked: NewCredential, overlapMs: number | undefined | null): Promise<CreatedCredential> {
    const { journal, keys, options } = this.#parts;
    const material = materialOf(endpoint, asked);
    const limit = options?.endpointLimit ?? 4;
    const { result } = await journal.write((transaction) =>
      addCredential(transaction, { endpoint, material, keys, limit, overlapMs }),
    );
    return { ...toCredential(result), key: material.isGenerated ? (material.key?.toString("hex") ?? null) : null };
  }

  async #end(change: (transaction: Kysely<Tables>) => Promise<Written<readonly CredentialRow[]>>): Promise<void> {
    await this.#parts.journal.write(change);
  }

  #onEvent({ kind, endpoint, facts }: Event): void {
    if (kind === "authority.added" || kind === "authority.removed") this.#authorities.changed();
    if (kind !== "credential.added" && kind !== "credential.ended") return;
    this.#forget();
    const changed = facts as Pick<CredentialRow, "identity" | "purpose"> & { credentialKind: CredentialRow["kind"] };
    if (changed.credentialKind === "x509") this.#authorities.changed();
    if (endpoint === null) return;
    const isOfDevice = changed.purpose === "device";
    if (kind === "credential.added") {
      if (isOfDevice) for (const listener of this.#givenListeners) listener(endpoint);
      return;
    }
    const ended = provenAs({ kind: changed.credentialKind, identity: changed.identity, endpoint });
    for (const listener of this.#withdrawnListeners) listener(ended, isOfDevice ? endpoint : undefined);
  }

  /** A row that may speak; one that is over or withdrawn is as good as none, except that a certificate stays refused. */
  async #find(kind: CredentialRow["kind"], identity: string): Promise<Known | undefined> {
    const known = await this.#known.get(`${kind}\0${identity}`, async () => {
      const row = await this.#parts.tables
        .selectFrom("device_credentials as own")
        .selectAll("own")
        .select(sql<boolean>`exists (select from device_credentials old where old.successor = own.id)`.as("replaces"))
        .where("kind", "=", kind)
        .where("identity", "=", identity)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      return { row, key: keyOf(row, this.#parts.keys) ?? undefined, replaces: row.replaces };
    });
    return known === undefined || isValid(known.row) || known.row.kind === "x509" ? known : undefined;
  }

  async #speaker(known: Known | undefined, place: SpeakingPlace): Promise<string | undefined> {
    if (known === undefined || !isValid(known.row) || known.row.purpose !== place) return undefined;
    this.#uses.note(known.row.id);
    if (known.replaces) await this.#end((transaction) => endReplaced(transaction, known.row));
    return known.row.endpoint;
  }

  /** What a name alone, or an authority's word for it, is worth. */
  async #isNameGood({ kind, name, fingerprint }: ProvenIdentity, place: SpeakingPlace): Promise<boolean> {
    const rows = (await this.#rowsOf(name)).filter((row) => row.kind === kind && row.purpose === place);
    // A device with a certificate of its own here is not believed with another one.
    if (rows.length > 0) return fingerprint === undefined && rows.some(isValid);
    return kind === "x509" && place === "device" && (await this.#authorities.count()) > 0;
  }

  async #rowsOf(endpoint: string): Promise<readonly CredentialRow[]> {
    return (await this.#lists.get(endpoint, () => this.#read(endpoint))) ?? [];
  }

  async #read(endpoint: string): Promise<CredentialRow[]> {
    return await this.#parts.tables
      .selectFrom("device_credentials")
      .selectAll()
      .where("endpoint", "=", endpoint)
      .orderBy("created_at")
      .orderBy("id")
      .limit(1000)
      .execute();
  }

  #forget(): void {
    this.#known.clear();
    this.#lists.clear();
  }
}

const isValid = (row: CredentialRow): boolean =>
  row.withdrawn_at === null && (row.ends_at === null || row.ends_at.getTime() > Date.now());

function toCredential(row: CredentialRow): Credential {
  return {
    id: row.id,
    endpoint: row.endpoint,
    kind: row.kind,
    purpose: row.purpose,
    identity: row.identity,
    fingerprint: row.kind === "psk" ? null : row.identity,
    state: row.withdrawn_at !== null ? "withdrawn" : row.successor !== null ? "ending" : "active",
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    endsAt: row.ends_at?.toISOString() ?? null,
  };
}

/** What the master keys must be able to open. @throws {UsageError} MASTER_KEY when one is missing. */
export async function checkMasterKeys(tables: Kysely<Tables>, keys: MasterKeys): Promise<void> {
  const { rows } = await sql<{ version: string }>`select key_version as version from device_credentials
    where key_version is not null union select key_version from mesh_secrets
    union select key_version from webhooks`.execute(tables);
  const missing = rows.map(({ version }) => version).filter((version) => !keys.has(version));
  if (missing.length === 0) return;
  throw new UsageError(
    "MASTER_KEY",
    `device keys in the database are encrypted under master key ${missing.join(", ")}, and the one given is ` +
      `${keys.currentVersion}: give the right one with --master-key-file or AIRLIFT_MASTER_KEY`,
    { missing, given: keys.currentVersion },
  );
}
