/** What goes into an endpoint, what comes out, and its limits. */

import type { BlockLimits } from "./block-option.ts";
import { DEFAULT_DEDUP_LIMITS, type DedupLimits } from "./dedup.ts";
import type { CoapRequest, CoapResponse, Peer } from "./exchange.ts";
import type { Observer } from "./observers.ts";
import { DEFAULT_TRANSMISSION, type TransmissionParameters } from "./transmission.ts";

/** A request that came and waits for its answer. The object itself is the handle to answer it with. */
export interface IncomingRequest<P extends Peer> {
  readonly peer: P;
  readonly request: CoapRequest;
  readonly token: Uint8Array;
  readonly isConfirmable: boolean;
  /** Blocks that may go to this peer and come from it. */
  readonly blocks: BlockLimits;
}

/** What an application feeds, whatever carries the messages. */
export type ExchangeInput<P extends Peer> =
  | RequestInput<P>
  /** Asks for a sign of life; `exchange` is a number as for a request. @see RFC 7252 §4.3, RFC 8323 §5.4 */
  | { readonly kind: "ping"; readonly exchange: number; readonly peer: P }
  /** Forgets an exchange or observation; a late answer to it is answered with a Reset. */
  | { readonly kind: "cancel"; readonly exchange: number }
  /** The answer will take a while: acknowledge the request within `ackDelayMs`, so that it is not sent again. */
  | { readonly kind: "defer"; readonly incoming: IncomingRequest<P> }
  /** Answers a request, once. With an `observer` the answer is the first notification. */
  | {
      readonly kind: "respond";
      readonly incoming: IncomingRequest<P>;
      readonly response: CoapResponse;
      readonly observer?: Observer<P> | undefined;
    }
  | {
      readonly kind: "notify";
      readonly observer: Observer<P>;
      readonly response: CoapResponse;
      readonly confirmable: boolean;
    }
  /** Ends an observation from our side without a word. */
  | { readonly kind: "forget"; readonly observer: Observer<P> }
  | { readonly kind: "wake" };

/** What goes into an endpoint over datagrams. */
export type EndpointInput<P extends Peer> =
  | { readonly kind: "datagram"; readonly peer: P; readonly datagram: Uint8Array }
  | ExchangeInput<P>
  /** The network said that the peer cannot be reached: its exchanges fail now. */
  | { readonly kind: "unreachable"; readonly peer: P };

export interface RequestInput<P extends Peer> {
  readonly kind: "request";
  /** Chosen by the caller, unique among its open exchanges. */
  readonly exchange: number;
  readonly peer: P;
  readonly request: CoapRequest;
  readonly confirmable: boolean;
  /** Of the caller's own, to keep one token for a whole transfer; made up when absent. */
  readonly token?: Uint8Array | undefined;
  readonly transmission?: TransmissionParameters | undefined;
  /** How long to wait for the response after the request has arrived. */
  readonly responseTimeoutMs?: number | undefined;
}

/**
 * noAnswer: nothing came within the time · rejected: the peer sent a Reset · unreachable: the network said so ·
 * overloaded: one of our own limits is reached · badResponse: it had a critical option we do not know ·
 * tooLarge: the peer said that it takes no message as large as the request.
 */
export type ExchangeFailure = "noAnswer" | "rejected" | "unreachable" | "overloaded" | "badResponse" | "tooLarge";

export type ObservationEnd = "deregistered" | "replaced" | "rejected" | "noAnswer" | "unreachable" | "refused";

/** What an application gets, whatever carries the messages. */
export type ExchangeOutput<P extends Peer> =
  | { readonly kind: "request"; readonly incoming: IncomingRequest<P> }
  /** `isLast` is false for the answers of an observation that goes on. */
  | {
      readonly kind: "response";
      readonly exchange: number;
      readonly response: CoapResponse;
      readonly isLast: boolean;
    }
  | { readonly kind: "pong"; readonly exchange: number }
  | { readonly kind: "failed"; readonly exchange: number; readonly reason: ExchangeFailure }
  | { readonly kind: "retransmitted"; readonly exchange: number; readonly retransmissionCount: number }
  | { readonly kind: "observationEnded"; readonly observer: Observer<P>; readonly reason: ObservationEnd };

/** What comes out of an endpoint over datagrams. */
export type EndpointOutput<P extends Peer> =
  /** `exchange` is there for the first transmission of a request. */
  | { readonly kind: "send"; readonly peer: P; readonly datagram: Uint8Array; readonly exchange: number | undefined }
  | ExchangeOutput<P>;

/** Limits of exchanges, requests being served and observers, whatever carries the messages. */
export interface ExchangeOptions {
  /** Octets a second towards a peer that does not answer. @see RFC 7252 §4.7 (PROBING_RATE) */
  readonly probingRateBps: number;
  /** A non-confirmable notification is made confirmable when the observer was last heard this long ago. @see RFC 7641 §4.5 */
  readonly observerCheckMs: number;
  /** Own exchanges open at once, those that wait included. */
  readonly exchanges: number;
  readonly exchangesPerPeer: number;
  /** Requests being served at once; one above is answered 5.03. */
  readonly serving: number;
  readonly servingPerPeer: number;
  readonly observers: number;
  readonly observersPerPeer: number;
}

export interface EndpointOptions extends ExchangeOptions, DedupLimits {
  readonly transmission: TransmissionParameters;
  /** Outstanding interactions with one peer; more wait their turn. @see RFC 7252 §4.7 */
  readonly nstart: number;
  /** A deferred request is acknowledged after this time; below the peer's ACK_TIMEOUT. */
  readonly ackDelayMs: number;
  readonly peers: number;
}

export const DEFAULT_ENDPOINT_OPTIONS: EndpointOptions = {
  ...DEFAULT_DEDUP_LIMITS,
  transmission: DEFAULT_TRANSMISSION,
  nstart: 1,
  probingRateBps: 1,
  ackDelayMs: 500,
  observerCheckMs: 24 * 3_600_000,
  peers: 250_000,
  exchanges: 200_000,
  exchangesPerPeer: 256,
  serving: 20_000,
  servingPerPeer: 64,
  observers: 400_000,
  observersPerPeer: 64,
};
