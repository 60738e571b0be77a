/** What goes into a DTLS endpoint, what comes out, and its limits. */
import type { ClientCredentials } from "./client-offer.ts";
import type { DtlsCrypto } from "./crypto-port.ts";
import { DEFAULT_HANDSHAKE_LIMITS, type HandshakeLimits, type OpenHandshake } from "./handshake-table.ts";
import {
  DEFAULT_HANDSHAKE,
  type Found,
  type HandshakeSettings,
  type Wanted,
  type Withdrawn,
} from "./handshake-types.ts";
import type { Reason } from "./reasons.ts";
import type { ServerCredentials } from "./server-choice.ts";
import type { DtlsAddress, DtlsSession } from "./session.ts";
import { DEFAULT_SESSION_LIMITS, type SessionLimits } from "./session-table.ts";

export type DtlsInput<A extends DtlsAddress> =
  | { readonly kind: "datagram"; readonly address: A; readonly datagram: Uint8Array }
  /** Begins a session as client, unless a handshake with this address is under way. */
  | { readonly kind: "connect"; readonly address: A; readonly credentials: ClientCredentials }
  /** The answer to an `ask`. */
  | { readonly kind: "found"; readonly handshake: OpenHandshake<A>; readonly found: Found }
  | { readonly kind: "send"; readonly session: DtlsSession<A>; readonly bytes: Uint8Array }
  | { readonly kind: "close"; readonly session: DtlsSession<A> }
  /** A credential was withdrawn: its sessions end, and none is resumed. */
  | { readonly kind: "revoke"; readonly identity: Withdrawn }
  /** What a server shows and whom it believes, for the handshakes that begin from now on. */
  | { readonly kind: "credentials"; readonly server: ServerCredentials }
  | { readonly kind: "wake" };

export type DtlsOutput<A extends DtlsAddress> =
  | {
      readonly kind: "send";
      readonly address: A;
      readonly datagram: Uint8Array;
      readonly session: DtlsSession<A> | undefined;
    }
  /** Application data of an authenticated peer; `bytes` belongs to the receiver. */
  | { readonly kind: "received"; readonly session: DtlsSession<A>; readonly bytes: Uint8Array }
  | { readonly kind: "ask"; readonly handshake: OpenHandshake<A>; readonly wanted: Wanted }
  | { readonly kind: "opened"; readonly session: DtlsSession<A> }
  | { readonly kind: "closed"; readonly session: DtlsSession<A>; readonly reason: Reason }
  /** The peer is heard from another address, and is answered there from now on (RFC 9146 §6). */
  | { readonly kind: "moved"; readonly session: DtlsSession<A>; readonly from: A }
  /** A handshake came to nothing. */
  | { readonly kind: "failed"; readonly address: A; readonly side: "client" | "server"; readonly reason: Reason };

/** off: none · send: the peer's, in what we send · both: also ours, in what we get, so that the peer may change its address. */
export type ConnectionIdUse = "off" | "send" | "both";

export interface DtlsOptions extends Omit<HandshakeSettings, "crypto">, HandshakeLimits, SessionLimits {
  /** Absent: nobody can begin a session with us. */
  readonly server?: ServerCredentials | undefined;
  readonly connectionIds: ConnectionIdUse;
  /** Sessions that can be resumed after they ended; 0 = none. */
  readonly resumable: number;
}

/** 100,000 resumable sessions take some 30 MB. */
export const DEFAULT_DTLS_OPTIONS: DtlsOptions = {
  ...DEFAULT_HANDSHAKE,
  ...DEFAULT_HANDSHAKE_LIMITS,
  ...DEFAULT_SESSION_LIMITS,
  connectionIds: "both",
  resumable: 100_000,
};

/** What an endpoint holds and has seen. */
export interface DtlsLoad {
  readonly sessions: number;
  readonly handshakes: number;
  readonly resumable: number;
  /** Records dropped because they were malformed, replayed, forged or for nobody. */
  readonly droppedRecordCount: number;
  /** Hellos that got a cookie and nothing else. */
  readonly cookieCount: number;
  /** Handshakes not begun because their host had too many. */
  readonly refusedHandshakeCount: number;
}

/** What an endpoint needs of its surroundings. */
export interface DtlsSurroundings {
  readonly crypto: DtlsCrypto;
}
