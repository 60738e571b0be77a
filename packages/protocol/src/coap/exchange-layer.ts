/** What exchanges, observers and requests being served ask of the layer that carries messages: datagrams or a stream. */
import type { ExchangeOptions, ExchangeOutput } from "./endpoint-types.ts";
import type { CoapResponse, Peer } from "./exchange.ts";
import type { TransmissionParameters } from "./transmission.ts";

/** Code, options and payload of what is to be sent, with the token it goes under. */
export interface Content extends CoapResponse {
  readonly token: Uint8Array;
}

/** What every layer keeps of a peer. */
export interface PeerWork<P extends Peer> {
  readonly peer: P;
  /** Exchanges, observers and requests being served: a peer with any is not forgotten. */
  busyCount: number;
  servingCount: number;
}

/** Waits for its turn to send. */
export interface Turn {
  begin(nowMs: number): void;
}

/** What becomes of a transmission; each is called at most once, and only one of the first three. */
export interface TransmissionOwner {
  onAcknowledged(nowMs: number): void;
  onRejected(nowMs: number): void;
  onNoAnswer(nowMs: number): void;
  onRetransmitted(retransmissionCount: number): void;
}

/** A message that the peer has yet to acknowledge. */
export interface Pending {
  readonly messageId: number;
}

export interface Delivery {
  readonly owner: TransmissionOwner;
  readonly parameters?: TransmissionParameters | undefined;
  readonly exchange?: number;
  readonly nowMs: number;
}

export interface ExchangeLayer<P extends Peer, S extends PeerWork<P>> {
  readonly options: ExchangeOptions;
  /** How long a response may take after its request has arrived, unless the request says otherwise. */
  readonly responseTimeoutMs: number;
  /** The state of a peer to send to; counts as a sign of life. `undefined` when nothing can reach it any more. */
  touch(peer: P, nowMs: number): S | undefined;
  /** Whether the peer can still be reached as it could when its state was made. */
  isReachable(state: S): boolean;
  emit(output: ExchangeOutput<P>): void;
  /**
   * Sends a message that must arrive, and tells `owner` what became of it.
   *
   * @returns What to `stop`; `undefined` when it counts as acknowledged already, and `owner` has been told so.
   */
  sendReliably(state: S, content: Content, delivery: Delivery): Pending | undefined;
  /** Sends a message that may get lost. Absent where everything arrives, once and in order: sequence numbers mean nothing there. */
  sendOnce?(state: S, content: Content, exchange?: number): { messageId: number; datagram: Uint8Array };
  /** Retransmits no more; nobody is told. */
  stop(state: S, pending: Pending, nowMs: number): void;
  /** Begins at once, or when there is room. */
  queueTurn(state: S, turn: Turn, nowMs: number): void;
  endTurn(state: S, nowMs: number): void;
  /** Leaves the queue before its turn. */
  leaveQueue(state: S, turn: Turn): void;
}
