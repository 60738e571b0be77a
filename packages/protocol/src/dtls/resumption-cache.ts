/** What sessions can be resumed with, on both sides (RFC 5246 §7.3, appendix F.1.4). */
import { toHex } from "../lib/bytes.ts";
import { isWithdrawn, type Resumable, type Withdrawn } from "./handshake-types.ts";

/** Appendix F.1.4 of RFC 5246 suggests 24 hours at most. */
export const RESUMPTION_LIFETIME_MS = 24 * 3_600_000;

interface Entry {
  readonly resumable: Resumable;
  readonly untilMs: number;
}

/** By session id for a server, by the server's address for a client; the oldest makes room. */
export class ResumptionCache {
  readonly #entries = new Map<string, Entry>();
  readonly #limit: number;

  /** @param limit Entries at most; 0 = sessions are never resumed. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  add(key: string, resumable: Resumable, untilMs: number): void {
    if (this.#limit === 0) return;
    this.#entries.delete(key);
    this.#entries.set(key, { resumable, untilMs });
    if (this.#entries.size <= this.#limit) return;
    const oldest = this.#entries.keys().next().value;
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  find(key: string, nowMs: number): Resumable | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.untilMs > nowMs) return entry?.resumable;
    this.#entries.delete(key);
    return undefined;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Forgets all of one identity, or of one kind; walks over everything, so it is for the rare moment that a credential is withdrawn. */
  forget(withdrawn: Withdrawn): void {
    for (const [key, { resumable }] of this.#entries)
      if (isWithdrawn(resumable.identity, withdrawn)) this.#entries.delete(key);
  }
}

export const resumptionKey = (sessionId: Uint8Array): string => toHex(sessionId);
