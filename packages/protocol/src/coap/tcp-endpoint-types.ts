/** What goes into an endpoint over streams, what comes out, and its limits. */
import {
  DEFAULT_ENDPOINT_OPTIONS,
  type ExchangeInput,
  type ExchangeOptions,
  type ExchangeOutput,
} from "./endpoint-types.ts";
import type { Peer } from "./exchange.ts";

export type TcpEndpointInput<P extends Peer> =
  | ExchangeInput<P>
  /** A connection came about, whoever began it; `peer` stands for it until it is gone. */
  | { readonly kind: "opened"; readonly peer: P }
  /** What came next in the stream; must not change afterwards. */
  | { readonly kind: "bytes"; readonly peer: P; readonly bytes: Uint8Array }
  /** More was written than the network takes at the moment: nothing that can wait is written until `drained`. */
  | { readonly kind: "congested"; readonly peer: P }
  | { readonly kind: "drained"; readonly peer: P }
  /** The connection is gone. */
  | { readonly kind: "closed"; readonly peer: P }
  /** Ends a connection of ours in good order. @see RFC 8323 §5.5 */
  | { readonly kind: "release"; readonly peer: P };

/**
 * full: one connection too many · noCsm: its first message was not what it has to be, or did not come in time · malformed:
 * what came cannot be read, is too long, or is never finished · crowded: unfinished messages take too much memory in all ·
 * stalled: the peer takes nothing · silent: it does not answer a Ping · aborted, released: the peer said so · done: we did.
 */
export type DisconnectReason =
  | "full"
  | "noCsm"
  | "malformed"
  | "crowded"
  | "stalled"
  | "silent"
  | "aborted"
  | "released"
  | "done";

/** To be carried out in this order, also across steps: what one causes comes after those that were there before it. */
export type TcpEndpointOutput<P extends Peer> =
  | ExchangeOutput<P>
  | { readonly kind: "write"; readonly peer: P; readonly bytes: Uint8Array }
  /** The peer has told what it can do: requests may be as large as it allows. */
  | { readonly kind: "ready"; readonly peer: P }
  /** Read no more from this connection: too many requests of it wait. At most one further `bytes` is held. */
  | { readonly kind: "pause"; readonly peer: P }
  | { readonly kind: "resume"; readonly peer: P }
  /** Close the connection once all is written; the endpoint has forgotten it. */
  | { readonly kind: "disconnect"; readonly peer: P; readonly reason: DisconnectReason };

export interface TcpEndpointOptions extends ExchangeOptions {
  /** Longest message taken, told to every peer. @see RFC 8323 §5.3.1 */
  readonly maxMessageBytes: number;
  /** Octets of a body put into one message, whatever the peer could take. @see RFC 8323 §6 */
  readonly bertBytes: number;
  readonly connections: number;
  /** Memory for unfinished messages and requests that wait, of all connections together. */
  readonly heldBytes: number;
  /** From the connection to the peer's first message. */
  readonly csmTimeoutMs: number;
  /** From the first to the last octet of a message. */
  readonly messageTimeoutMs: number;
  /** How long a peer may take nothing of what is written to it. */
  readonly stallTimeoutMs: number;
  /** A peer that was silent for so long is asked for a sign of life. */
  readonly idleTimeoutMs: number;
  /** How long it has to give one. */
  readonly pongTimeoutMs: number;
  /** From a request to its response, unless the request says otherwise. */
  readonly responseTimeoutMs: number;
}

/**
 * A connection without a sign of life is gone after 16 minutes, one that takes nothing after one; a hostile one holds at most
 * a message of 64 KiB, or 16 requests and their answers.
 */
export const DEFAULT_TCP_OPTIONS: TcpEndpointOptions = {
  ...DEFAULT_ENDPOINT_OPTIONS,
  maxMessageBytes: 65_536 + 256,
  bertBytes: 65_536,
  connections: 20_000,
  heldBytes: 64 * 2 ** 20,
  csmTimeoutMs: 10_000,
  messageTimeoutMs: 120_000,
  stallTimeoutMs: 60_000,
  idleTimeoutMs: 15 * 60_000,
  pongTimeoutMs: 60_000,
  responseTimeoutMs: 247_000,
  servingPerPeer: 16,
};
