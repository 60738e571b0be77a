/** The handshakes under way: bounded in total and for each host, woken when they are due. */
import { Deadlines } from "../lib/deadlines.ts";
import type { ClientHandshake } from "./client-handshake.ts";
import type { ServerHandshake } from "./server-handshake.ts";
import type { DtlsAddress } from "./session.ts";

export interface HandshakeLimits {
  /** Handshakes at once; one more crowds out the oldest. */
  readonly handshakes: number;
  /** From one host; one more is not begun, and the client tries again. */
  readonly handshakesPerHost: number;
}

/** A mobile operator's gateway hides thousands of devices behind one host; 500 of them may begin in the same second. */
export const DEFAULT_HANDSHAKE_LIMITS: HandshakeLimits = { handshakes: 10_000, handshakesPerHost: 500 };

/** A handshake with the address it is with. The object itself is the handle to answer its question with. */
export interface OpenHandshake<A extends DtlsAddress> {
  readonly address: A;
  readonly core: ServerHandshake | ClientHandshake;
}

export class HandshakeTable<A extends DtlsAddress> {
  readonly #limits: HandshakeLimits;
  /** By address, the oldest first. */
  readonly #open = new Map<string, OpenHandshake<A>>();
  readonly #perHost = new Map<string, number>();
  readonly #deadlines = new Deadlines<OpenHandshake<A>>();

  constructor(limits: HandshakeLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#open.size;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  find(addressKey: string): OpenHandshake<A> | undefined {
    return this.#open.get(addressKey);
  }

  has(handshake: OpenHandshake<A>): boolean {
    return this.#open.get(handshake.address.key) === handshake;
  }

  /** Whether this host has room for one more. */
  hasRoom({ address }: A): boolean {
    return (this.#perHost.get(address) ?? 0) < this.#limits.handshakesPerHost;
  }

  /** Adds a handshake, in the place of one with the same address. What was crowded out is returned, already removed. */
  add(handshake: OpenHandshake<A>): OpenHandshake<A> | undefined {
    const { address } = handshake;
    const same = this.#open.get(address.key);
    if (same) this.remove(same);
    const oldest = this.#open.size >= this.#limits.handshakes ? this.#open.values().next().value : undefined;
    if (oldest) this.remove(oldest);
    this.#open.set(address.key, handshake);
    this.#perHost.set(address.address, (this.#perHost.get(address.address) ?? 0) + 1);
    return oldest;
  }

  remove(handshake: OpenHandshake<A>): void {
    if (!this.has(handshake)) return;
    const { key, address } = handshake.address;
    this.#open.delete(key);
    this.#deadlines.delete(handshake);
    const left = (this.#perHost.get(address) ?? 1) - 1;
    if (left > 0) this.#perHost.set(address, left);
    else this.#perHost.delete(address);
  }

  /** Notes when the handshake wants to be woken. */
  schedule(handshake: OpenHandshake<A>): void {
    const { wakeAtMs } = handshake.core;
    if (wakeAtMs !== undefined && this.has(handshake)) this.#deadlines.set(handshake, wakeAtMs);
    else this.#deadlines.delete(handshake);
  }

  takeDue(nowMs: number): OpenHandshake<A> | undefined {
    return this.#deadlines.popDue(nowMs);
  }
}
