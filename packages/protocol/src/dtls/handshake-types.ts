/** What goes into a handshake and what comes out of it, whichever side it is. */
import type { DtlsCrypto } from "./crypto-port.ts";
import type { Protection } from "./protection.ts";
import type { Reason } from "./reasons.ts";
import { DEFAULT_REASSEMBLY, type ReassemblyLimits } from "./reassembly.ts";
import type { DtlsRecord } from "./record.ts";
import type { ReplayWindow } from "./replay-window.ts";
import { type CipherSuite, DEFAULT_SUITES } from "./suites.ts";

/** Who the peer proved to be. `name` is the PSK identity, the name looked up for a raw key, or a certificate's name. */
export type PeerIdentity =
  | { readonly kind: "psk"; readonly name: string }
  /** `fingerprint`: SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  | { readonly kind: "rpk"; readonly name: string; readonly fingerprint: string }
  /** `fingerprint`: SHA-256 of the certificate, lower-case hex. */
  | { readonly kind: "x509"; readonly name: string; readonly fingerprint: string }
  /** A client that was not asked for a certificate. */
  | { readonly kind: "anonymous"; readonly name: "" };

/** Peers whose sessions are to end: one identity, or without a name all of a kind. */
export interface Withdrawn {
  readonly kind: PeerIdentity["kind"];
  readonly name?: string | undefined;
  /** Of several keys or certificates under one name only this one. */
  readonly fingerprint?: string | undefined;
}

export const isWithdrawn = (identity: PeerIdentity, { kind, name, fingerprint }: Withdrawn): boolean =>
  identity.kind === kind &&
  (name === undefined || identity.name === name) &&
  (fingerprint === undefined || ("fingerprint" in identity && identity.fingerprint === fingerprint));

/** A question to whoever keeps the credentials. */
export type Wanted =
  | { readonly kind: "psk"; readonly identity: string }
  | { readonly kind: "rpk"; readonly spki: Uint8Array; readonly fingerprint: string };

/** The answer: a key or a name, `undefined` when there is none; or nobody could say. */
export type Found =
  | { readonly kind: "psk"; readonly key: Uint8Array | undefined }
  | { readonly kind: "rpk"; readonly name: string | undefined }
  | { readonly kind: "failed" };

export type HandshakeInput =
  | { readonly kind: "start" }
  | { readonly kind: "record"; readonly record: DtlsRecord }
  | { readonly kind: "found"; readonly found: Found }
  | { readonly kind: "wake" };

export type HandshakeOutput =
  | { readonly kind: "send"; readonly datagram: Uint8Array }
  | { readonly kind: "ask"; readonly wanted: Wanted }
  | { readonly kind: "opened"; readonly outcome: HandshakeOutcome }
  | { readonly kind: "failed"; readonly reason: Reason };

/** What a session is resumed with; as secret as the session itself. */
export interface Resumable {
  /** 1 … 32 octets. */
  readonly sessionId: Uint8Array;
  readonly master: Uint8Array;
  readonly suite: CipherSuite;
  readonly hasExtendedMasterSecret: boolean;
  readonly identity: PeerIdentity;
}

/** A finished handshake. */
export interface HandshakeOutcome {
  /** Empty session id: the server does not offer to resume. */
  readonly resumable: Resumable;
  readonly isResumed: boolean;
  readonly keys: Uint8Array;
  /** Made from `keys`, ready to use; absent when they have to be made. */
  readonly protections: Protections | undefined;
  /** What the peer puts into its records; empty = nothing. */
  readonly ownConnectionId: Uint8Array;
  /** What we put into ours. */
  readonly peerConnectionId: Uint8Array;
  /** The next sequence number of epoch 1. */
  readonly writeSequence: number;
  readonly window: ReplayWindow;
  /** Kept by the side that spoke last, in case its words are lost. */
  readonly lastFlight: LastFlight | undefined;
  /** Application data that overtook the end of the handshake. */
  readonly early: readonly Uint8Array[];
}

/** Both directions of a session. */
export interface Protections {
  readonly write: Protection;
  readonly read: Protection;
}

export interface LastFlight {
  /** Our Finished as one fragment. */
  readonly finished: Uint8Array;
  /** The number of the message that it answers: when that comes again, Finished is sent again. */
  readonly answers: number;
  /** The next sequence number of epoch 0, for ChangeCipherSpec. */
  readonly plainSequence: number;
}

export interface HandshakeTiming {
  /** First timeout of a flight; doubles each time. @see RFC 6347 §4.2.4.1 */
  readonly retransmitMs: number;
  readonly maxRetransmitMs: number;
  readonly retransmissions: number;
  /** How long a reason to give up that nobody could authenticate waits for better news. */
  readonly suspicionMs: number;
  /** How long a credential may be looked up. */
  readonly lookUpMs: number;
}

/** Timeouts of 1, 2, 4, 8, 16 and 32 s: a silent peer is given up after 63 s. */
export const DEFAULT_TIMING: HandshakeTiming = {
  retransmitMs: 1_000,
  maxRetransmitMs: 60_000,
  retransmissions: 5,
  suspicionMs: 1_000,
  lookUpMs: 10_000,
};

export interface HandshakeSettings {
  readonly crypto: DtlsCrypto;
  /** Wall clock, asked when a certificate's time is checked; `undefined` when the time is not known: no check. */
  readonly utcMs: () => number | undefined;
  readonly timing: HandshakeTiming;
  readonly reassembly: ReassemblyLimits;
  /** Longest datagram that is sent during a handshake. */
  readonly datagramBytes: number;
  /** The favourite first. */
  readonly suites: readonly CipherSuite[];
  /** Refuses peers without RFC 7627; small stacks such as tinydtls do not have it. */
  readonly requireExtendedMasterSecret: boolean;
}

/** The smallest MTU of IPv6 less its headers passes everywhere. */
export const DEFAULT_HANDSHAKE: Omit<HandshakeSettings, "crypto"> = {
  utcMs: () => undefined,
  timing: DEFAULT_TIMING,
  reassembly: DEFAULT_REASSEMBLY,
  datagramBytes: 1_232,
  suites: DEFAULT_SUITES,
  requireExtendedMasterSecret: false,
};
