/** Tokens of people and programs, and browser sessions: kept as SHA-256, because 256 random bits cannot be guessed from it. */
import { createHash, randomBytes } from "node:crypto";
import { type CreatedToken, NewToken, type Role, type Token } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type RawBuilder, type Selectable, sql } from "kysely";
import type { PersonId } from "../campaign/person.ts";
import type { ApiTokenTable } from "./access-tables.ts";
import type { OpenedSession, TokenHolder, TokenStore } from "./credential-ports.ts";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import type { Journal } from "./journal.ts";
import type { NewEvent, Page, PageRequest } from "./ports.ts";
import { ShortCache } from "./short-cache.ts";
import type { Tables } from "./tables.ts";
import { UseTimes } from "./use-times.ts";

/** What every token looks like; anything else is refused without a look into the database. */
const TOKEN = /^airlift_[A-Za-z0-9_-]{43}$/;
const SESSION = /^[A-Za-z0-9_-]{43}$/;
/** A working day. */
const SESSION_MS = 12 * 3_600_000;
/** Browsers signed in with one token; one more signs out the oldest. */
const MOST_SESSIONS = 20;
/** How long a token that another server revoked may still be good here. */
const CACHE_LIFETIME_MS = 5000;
const CACHE_ENTRIES = 2000;
/** Names the lock under which the first token is made. */
const FIRST_TOKEN_LOCK = 7_104_531_887;

export class PostgresTokenStore implements TokenStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #holders = new ShortCache<TokenHolder>({ entryCount: CACHE_ENTRIES, lifetimeMs: CACHE_LIFETIME_MS });
  readonly #uses: UseTimes;

  constructor(tables: Kysely<Tables>, journal: Journal) {
    this.#tables = tables;
    this.#journal = journal;
    this.#uses = new UseTimes(tables, "api_tokens");
    journal.subscribe(({ kind }) => kind === "token.revoked" && this.#holders.clear());
  }

  async create(asked: NewToken, account?: PersonId): Promise<CreatedToken> {
    const text = newTokenText();
    const { result } = await this.#journal.write((transaction) =>
      insertToken(transaction, text, { ...asked, account }),
    );
    return { ...toToken(result), token: text };
  }

  async createFirst(keep: (text: string) => Promise<void>): Promise<Token | undefined> {
    const { result } = await this.#journal.write(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${FIRST_TOKEN_LOCK})`.execute(transaction);
      const found = await transaction.selectFrom("api_tokens").select("id").limit(1).executeTakeFirst();
      if (found !== undefined) return { result: undefined, events: [] };
      const text = newTokenText();
      const inserted = await insertToken(transaction, text, { role: "admin", name: "first" });
      await keep(text);
      return inserted;
    });
    return result && toToken(result);
  }

  async list(page: PageRequest): Promise<Page<Token>> {
    await this.flush();
    let query = this.#tables.selectFrom("api_tokens").selectAll();
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("seq", "desc")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toToken, position: (row) => row.seq });
  }

  async revoke(id: string): Promise<Token> {
    const { result } = await this.#journal.write(async (transaction) => {
      const row = await transaction
        .updateTable("api_tokens")
        .set({ revoked_at: sql<Date>`coalesce(revoked_at, now())` })
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) throw new UsageError("UNKNOWN_TOKEN", `there is no token ${id}`, { id });
      await transaction.deleteFrom("api_sessions").where("token_id", "=", id).execute();
      return { result: row, events: [revokedEvent(row)] };
    });
    return toToken(result);
  }

  async revokeOtherRoles(account: PersonId, role: Role | undefined): Promise<void> {
    const which = sql`account = ${account} and expires_at > now() and role is distinct from ${role ?? null}`;
    await this.#journal.write(async (transaction) => ({
      result: undefined,
      events: await revokeThose(transaction, which),
    }));
  }

  async holderOf(text: string): Promise<TokenHolder | undefined> {
    if (!TOKEN.test(text)) return undefined;
    const hash = hashOf(text);
    return this.#good(await this.#holders.get(hash, async () => await this.#findToken(hash)));
  }

  wasGood(text: string): boolean {
    return this.#holders.peek(hashOf(text)) !== undefined;
  }

  async openSession(text: string): Promise<OpenedSession> {
    const holder = await this.holderOf(text);
    if (holder === undefined) throw new UsageError("TOKEN_REFUSED", "this token is not good");
    const secret = randomBytes(32).toString("base64url");
    const expiresAtMs = Math.min(Date.now() + SESSION_MS, holder.expiresAtMs ?? Number.POSITIVE_INFINITY);
    await this.#tables.transaction().execute(async (transaction) => {
      await transaction
        .insertInto("api_sessions")
        .values({ hash: hashOf(secret), token_id: holder.tokenId, expires_at: new Date(expiresAtMs) })
        .execute();
      await sql`delete from api_sessions where expires_at < now() or hash in (
        select hash from api_sessions where token_id = ${holder.tokenId}
        order by created_at desc, hash offset ${MOST_SESSIONS})`.execute(transaction);
    });
    return { ...holder, secret, expiresAtMs };
  }

  async sessionHolder(secret: string): Promise<TokenHolder | undefined> {
    if (!SESSION.test(secret)) return undefined;
    const hash = hashOf(secret);
    return this.#good(await this.#holders.get(hash, async () => await this.#findSession(hash)));
  }

  async closeSession(secret: string): Promise<void> {
    await this.#journal.write(async (transaction) => {
      const closed = await transaction
        .deleteFrom("api_sessions")
        .where("hash", "=", hashOf(secret))
        .returning("token_id")
        .executeTakeFirst();
      const which = sql`id = ${closed?.token_id ?? ""} and account is not null`;
      return { result: undefined, events: await revokeThose(transaction, which) };
    });
    this.#holders.clear();
  }

  /** Writes when tokens were last used. */
  async flush(): Promise<void> {
    await this.#uses.flush();
  }

  #good(holder: TokenHolder | undefined): TokenHolder | undefined {
    if (holder === undefined || (holder.expiresAtMs !== null && holder.expiresAtMs <= Date.now())) return undefined;
    this.#uses.note(holder.tokenId);
    return holder;
  }

  async #findToken(hash: string): Promise<TokenHolder | undefined> {
    const row = await this.#tables
      .selectFrom("api_tokens")
      .selectAll()
      .where("hash", "=", hash)
      .where("revoked_at", "is", null)
      .executeTakeFirst();
    return row && toHolder(row, row.expires_at);
  }

  async #findSession(hash: string): Promise<TokenHolder | undefined> {
    const row = await this.#tables
      .selectFrom("api_sessions")
      .innerJoin("api_tokens", "api_tokens.id", "api_sessions.token_id")
      .selectAll("api_tokens")
      .select("api_sessions.expires_at as session_ends_at")
      .where("api_sessions.hash", "=", hash)
      .where("api_tokens.revoked_at", "is", null)
      .executeTakeFirst();
    return row && toHolder(row, row.session_ends_at);
  }
}

const newTokenText = (): string => `airlift_${randomBytes(32).toString("base64url")}`;

/** The index is asked for a hash, so how long the answer takes tells nothing of a token's own letters. */
const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

async function insertToken(
  transaction: Kysely<Tables>,
  text: string,
  { account, ...asked }: NewToken & { readonly account?: PersonId | undefined },
) {
  const { role, name, expiresInS } = NewToken.parse(asked);
  const expires_at = expiresInS === undefined ? null : new Date(Date.now() + expiresInS * 1000);
  const id = randomBytes(4).toString("hex");
  const row = await transaction
    .insertInto("api_tokens")
    .values({ id, hash: hashOf(text), name, role, expires_at, account: account ?? null })
    .returningAll()
    .executeTakeFirstOrThrow();
  const sentence = `a token of role ${role} was made: ${name}`;
  const event = { kind: "token.created", sentence, facts: { tokenId: id, name, role } } as const;
  return { result: row, events: [event] };
}

/** A token that speaks for one gateway, made along with it. */
export async function insertGatewayToken(transaction: Kysely<Tables>, gatewayId: string) {
  const text = newTokenText();
  const { events } = await insertToken(transaction, text, { role: "gateway", name: gatewayId });
  return { text, events };
}

/** Ends the tokens of a gateway that is no more; the events tell every server, and whoever listens with one of them. */
export async function revokeGatewayTokens(transaction: Kysely<Tables>, gatewayId: string): Promise<NewEvent[]> {
  return await revokeThose(transaction, sql`role = 'gateway' and name = ${gatewayId}`);
}

async function revokeThose(transaction: Kysely<Tables>, which: RawBuilder<unknown>): Promise<NewEvent[]> {
  const { rows } = await sql<{ id: string; name: string; role: Role }>`
    update api_tokens set revoked_at = now() where revoked_at is null and ${which} returning id, name, role`.execute(
    transaction,
  );
  return rows.map(revokedEvent);
}

function revokedEvent({ id, name, role }: { id: string; name: string; role: Role }): NewEvent {
  const sentence = `the token ${name} of role ${role} is good no more`;
  return { kind: "token.revoked", sentence, facts: { tokenId: id, name, role } };
}

function toHolder(
  { id, name, role, account }: Pick<Selectable<ApiTokenTable>, "id" | "name" | "role" | "account">,
  expiresAt: Date | null,
): TokenHolder {
  const personId = account ?? (`token ${id}` as const);
  return { tokenId: id, name, personId, role, expiresAtMs: expiresAt?.getTime() ?? null };
}

const toToken = (row: Selectable<ApiTokenTable>): Token => ({
  id: row.id,
  name: row.name,
  role: row.role,
  createdAt: row.created_at.toISOString(),
  expiresAt: row.expires_at?.toISOString() ?? null,
  lastUsedAt: row.last_used_at?.toISOString() ?? null,
  revokedAt: row.revoked_at?.toISOString() ?? null,
});
