/** One established session: small while idle, 100,000 of them are ordinary. */

import { concat, EMPTY } from "../lib/bytes.ts";
import type { DtlsCrypto } from "./crypto-port.ts";
import type { HandshakeOutcome, LastFlight, PeerIdentity, Protections, Resumable } from "./handshake-types.ts";
import { keysOf, type Side } from "./key-schedule.ts";
import { type Content, createProtection, PROTECTED_EPOCH } from "./protection.ts";
import type { DtlsRecord } from "./record.ts";
import { CONTENT_TYPE, encodePlainRecord } from "./record.ts";
import { accept, isFresh, type ReplayWindow } from "./replay-window.ts";

/** Where datagrams come from and go to, made by the shell. */
export interface DtlsAddress {
  /** Tells it from all others. */
  readonly key: string;
  /** The host alone, without the port: limits per address count by it. */
  readonly address: string;
}

/** A session as applications see it. It stays the same object, under the same key, when the peer's address changes. */
export interface DtlsPeer<A extends DtlsAddress> {
  /** Unique among all sessions, and never an address. */
  readonly key: string;
  /** Where the peer was heard last. */
  readonly address: A;
  readonly identity: PeerIdentity;
  /** `TLS_…` */
  readonly suiteName: string;
  readonly isResumed: boolean;
  readonly hasExtendedMasterSecret: boolean;
  /** Whether it survives a change of the peer's address (RFC 9146). */
  readonly hasConnectionId: boolean;
}

/** What a session is made of. */
export interface SessionParts<A extends DtlsAddress> {
  readonly key: string;
  readonly side: Side;
  readonly address: A;
  readonly usedAtMs: number;
  readonly outcome: Omit<HandshakeOutcome, "early">;
}

/** Sequence numbers have 48 bits; none is used twice. */
const LAST_SEQUENCE = 2 ** 48 - 1;

export class DtlsSession<A extends DtlsAddress> implements DtlsPeer<A> {
  readonly key: string;
  readonly side: Side;
  readonly resumable: Resumable;
  readonly isResumed: boolean;
  readonly keys: Uint8Array;
  readonly ownConnectionId: Uint8Array;
  readonly peerConnectionId: Uint8Array;
  readonly window: ReplayWindow;
  address: A;
  usedAtMs: number;
  writeSequence: number;
  lastFlight: LastFlight | undefined;
  #protections: Protections | undefined;

  constructor({ key, side, address, usedAtMs, outcome }: SessionParts<A>) {
    this.key = key;
    this.side = side;
    this.address = address;
    this.usedAtMs = usedAtMs;
    this.resumable = outcome.resumable;
    this.isResumed = outcome.isResumed;
    this.keys = outcome.keys;
    this.ownConnectionId = compact(outcome.ownConnectionId);
    this.peerConnectionId = compact(outcome.peerConnectionId);
    this.writeSequence = outcome.writeSequence;
    this.window = outcome.window;
    this.lastFlight = outcome.lastFlight;
    this.#protections = outcome.protections;
  }

  get identity(): PeerIdentity {
    return this.resumable.identity;
  }

  get suiteName(): string {
    return this.resumable.suite.name;
  }

  get hasExtendedMasterSecret(): boolean {
    return this.resumable.hasExtendedMasterSecret;
  }

  get hasConnectionId(): boolean {
    return this.ownConnectionId.length > 0;
  }

  /** Whether the ciphers are at hand; without them a session takes a fraction of the memory. */
  get isWarm(): boolean {
    return this.#protections !== undefined;
  }

  /** Makes the ciphers, if they are not there. */
  warm(crypto: DtlsCrypto): void {
    if (this.#protections) return;
    const { suite } = this.resumable;
    const other = this.side === "client" ? "server" : "client";
    this.#protections = {
      write: createProtection(crypto, suite, keysOf(this.keys, suite, this.side)),
      read: createProtection(crypto, suite, keysOf(this.keys, suite, other)),
    };
  }

  /** Lets go of the ciphers; they can be made again. */
  cool(): void {
    this.#protections = undefined;
  }

  /** One record; `undefined` when the sequence numbers are used up. Warm sessions only. */
  seal(type: number, bytes: Uint8Array): Uint8Array | undefined {
    if (this.writeSequence >= LAST_SEQUENCE) return undefined;
    const sequence = this.writeSequence;
    this.writeSequence += 1;
    return this.#protections?.write.seal({ type, bytes }, sequence, this.peerConnectionId);
  }

  /**
   * The content of a record that is the peer's and has not been seen; nothing changes for any other. Warm sessions only.
   *
   * @returns Whether it is also the newest so far.
   */
  open(record: DtlsRecord): { readonly content: Content; readonly isNewest: boolean } | undefined {
    if (record.epoch !== PROTECTED_EPOCH || !isFresh(this.window, record.sequence)) return undefined;
    const content = this.#protections?.read.open(record);
    return content && { content, isNewest: accept(this.window, record.sequence) };
  }

  /** ChangeCipherSpec and Finished again, for a peer that did not get them. Warm sessions only. */
  repeatLastFlight(): Uint8Array | undefined {
    if (this.lastFlight === undefined) return undefined;
    const { plainSequence, finished } = this.lastFlight;
    this.lastFlight = { ...this.lastFlight, plainSequence: plainSequence + 1 };
    const sealed = this.seal(CONTENT_TYPE.handshake, finished);
    const change = encodePlainRecord(CONTENT_TYPE.changeCipherSpec, plainSequence, Uint8Array.of(1));
    return sealed && concat([change, sealed]);
  }
}

/** Octets of their own and nothing beside them: a view keeps the whole datagram that it was cut from. */
const compact = (bytes: Uint8Array): Uint8Array => (bytes.length === 0 ? EMPTY : bytes.slice());
