/** All established sessions: found by Connection ID, by address, by identity; bounded. */

import type { DtlsCrypto } from "./crypto-port.ts";
import type { PeerIdentity } from "./handshake-types.ts";
import { readUint } from "./octets.ts";
import type { ReasonCode } from "./reasons.ts";
import type { DtlsAddress, DtlsSession } from "./session.ts";

export interface SessionLimits {
  /** Sessions at once; one more closes the one that is silent longest. */
  readonly sessions: number;
  /** Of one identity: a device that comes back keeps so many, so that nobody fills the table alone. */
  readonly sessionsPerIdentity: number;
  /** A session silent for so long is closed. */
  readonly idleMs: number;
  /** Sessions whose ciphers are kept ready. */
  readonly warmSessions: number;
}

/** 250,000 sessions; a device that sleeps for 60 days finds its session; 4 sessions for each identity. */
export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  sessions: 250_000,
  sessionsPerIdentity: 4,
  idleMs: 60 * 24 * 3_600_000,
  warmSessions: 4_096,
};

/** Length of the Connection IDs that are given out: 48 random bits are one number to look up. */
export const CONNECTION_ID_BYTES = 6;

/** Uses within this time of each other do not change the order: who is silent longest need not be exact. */
const ORDER_GRAIN_MS = 60_000;

export interface Ended<A extends DtlsAddress> {
  readonly session: DtlsSession<A>;
  readonly code: ReasonCode;
}

export class SessionTable<A extends DtlsAddress> {
  readonly #limits: SessionLimits;
  readonly #crypto: DtlsCrypto;
  /** By key, the one silent longest first. */
  readonly #sessions = new Map<string, DtlsSession<A>>();
  readonly #byConnectionId = new Map<number, DtlsSession<A>>();
  readonly #byAddress = new Map<string, DtlsSession<A>>();
  readonly #byIdentity = new Map<string, readonly DtlsSession<A>[]>();
  readonly #warm = new Set<DtlsSession<A>>();

  constructor(limits: SessionLimits, crypto: DtlsCrypto) {
    this.#limits = limits;
    this.#crypto = crypto;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** When the session that is silent longest has been silent too long. */
  get wakeAtMs(): number | undefined {
    const first = this.#first;
    return first && first.usedAtMs + this.#limits.idleMs;
  }

  has(session: DtlsSession<A>): boolean {
    return this.#sessions.get(session.key) === session;
  }

  /** From the most silent to the last heard. */
  all(): IterableIterator<DtlsSession<A>> {
    return this.#sessions.values();
  }

  findByConnectionId(connectionId: Uint8Array): DtlsSession<A> | undefined {
    return connectionId.length === CONNECTION_ID_BYTES
      ? this.#byConnectionId.get(readUint(connectionId, 0, CONNECTION_ID_BYTES))
      : undefined;
  }

  /** The session whose records come without a Connection ID from this address. */
  findByAddress(addressKey: string): DtlsSession<A> | undefined {
    return this.#byAddress.get(addressKey);
  }

  /** Adds a session; what had to make room is returned, already removed. */
  add(session: DtlsSession<A>): Ended<A>[] {
    const ended: Ended<A>[] = [];
    const end = (old: DtlsSession<A> | undefined, code: ReasonCode): void => {
      if (old === undefined) return;
      this.remove(old);
      ended.push({ session: old, code });
    };
    if (!session.hasConnectionId) end(this.#byAddress.get(session.address.key), "REPLACED");
    const same = this.ofIdentity(session.identity);
    if (same.length >= this.#limits.sessionsPerIdentity) end(same[0], "REPLACED");
    if (this.#sessions.size >= this.#limits.sessions) end(this.#first, "EVICTED");
    this.#sessions.set(session.key, session);
    if (session.hasConnectionId)
      this.#byConnectionId.set(readUint(session.ownConnectionId, 0, CONNECTION_ID_BYTES), session);
    else this.#byAddress.set(session.address.key, session);
    this.#setSiblings(session.identity, [...this.ofIdentity(session.identity), session]);
    if (session.isWarm) this.#keepWarm(session);
    return ended;
  }

  remove(session: DtlsSession<A>): void {
    if (!this.has(session)) return;
    this.#sessions.delete(session.key);
    this.#warm.delete(session);
    if (session.hasConnectionId) this.#byConnectionId.delete(readUint(session.ownConnectionId, 0, CONNECTION_ID_BYTES));
    else if (this.#byAddress.get(session.address.key) === session) this.#byAddress.delete(session.address.key);
    const others = this.ofIdentity(session.identity).filter((other) => other !== session);
    this.#setSiblings(session.identity, others);
  }

  /** Sessions of one identity, the oldest first. Anonymous peers have nothing in common. */
  ofIdentity(identity: Pick<PeerIdentity, "kind" | "name">): readonly DtlsSession<A>[] {
    return this.#byIdentity.get(identityKey(identity)) ?? [];
  }

  /** Makes a session ready to seal and open. */
  warm(session: DtlsSession<A>): void {
    if (session.isWarm) return;
    session.warm(this.#crypto);
    this.#keepWarm(session);
  }

  #keepWarm(session: DtlsSession<A>): void {
    this.#warm.add(session);
    if (this.#warm.size <= this.#limits.warmSessions) return;
    const [oldest] = this.#warm;
    oldest?.cool();
    if (oldest) this.#warm.delete(oldest);
  }

  /** A sign of life that was authenticated. */
  touch(session: DtlsSession<A>, nowMs: number): void {
    if (nowMs - session.usedAtMs < ORDER_GRAIN_MS) return;
    session.usedAtMs = nowMs;
    this.#sessions.delete(session.key);
    this.#sessions.set(session.key, session);
  }

  /** Removes and returns a session that has been silent too long. */
  takeIdle(nowMs: number): DtlsSession<A> | undefined {
    const first = this.#first;
    if (first === undefined || first.usedAtMs + this.#limits.idleMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  #setSiblings(identity: PeerIdentity, sessions: readonly DtlsSession<A>[]): void {
    if (identity.kind === "anonymous" || sessions.length === 0) this.#byIdentity.delete(identityKey(identity));
    else this.#byIdentity.set(identityKey(identity), sessions);
  }

  get #first(): DtlsSession<A> | undefined {
    return this.#sessions.values().next().value;
  }
}

const identityKey = ({ kind, name }: Pick<PeerIdentity, "kind" | "name">): string => `${kind} ${name}`;
