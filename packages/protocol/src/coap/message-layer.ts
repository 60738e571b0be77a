/** The message layer of an endpoint: acknowledged transmissions, Message IDs, turns under NSTART (RFC 7252 §4). */
import type { Random } from "../lib/core.ts";
import { Dedup } from "./dedup.ts";
import type { EndpointOptions, EndpointOutput } from "./endpoint-types.ts";
import type { Peer } from "./exchange.ts";
import type { Content, Delivery, ExchangeLayer, Pending, Turn } from "./exchange-layer.ts";
import { encodeMessage, MESSAGE_TYPE } from "./message.ts";
import { type PeerState, PeerTable, type Transmission, takeMessageId } from "./peer-table.ts";
import { Reliability } from "./reliability.ts";
import { exchangeLifetimeMs } from "./transmission.ts";

/** Shared by the parts of one endpoint; collects the outputs of the current step. */
export class MessageLayer<P extends Peer> implements ExchangeLayer<P, PeerState<P>> {
  readonly options: EndpointOptions;
  readonly responseTimeoutMs: number;
  readonly dedup: Dedup;
  readonly peers: PeerTable<P>;
  readonly #reliability: Reliability<Transmission<P>>;
  #outputs: EndpointOutput<P>[] = [];

  constructor(options: EndpointOptions, random: Random) {
    this.options = options;
    this.dedup = new Dedup(options);
    const lifetimeMs = exchangeLifetimeMs(options.transmission);
    this.responseTimeoutMs = lifetimeMs;
    this.peers = new PeerTable({ peers: options.peers, lifetimeMs }, this.dedup, random);
    this.#reliability = new Reliability(random);
  }

  get wakeAtMs(): number | undefined {
    return earlier(this.#reliability.wakeAtMs, this.peers.wakeAtMs);
  }

  /** Whether as many messages wait for their acknowledgement as own exchanges may be open. */
  get isCrowded(): boolean {
    return this.#reliability.size >= this.options.exchanges;
  }

  touch(peer: P, nowMs: number): PeerState<P> {
    return this.peers.touch(peer, nowMs);
  }

  isReachable(): boolean {
    return true;
  }

  emit(output: EndpointOutput<P>): void {
    this.#outputs.push(output);
  }

  /** The outputs since the last call. */
  takeOutputs(): EndpointOutput<P>[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  send(peer: P, datagram: Uint8Array, exchange?: number): void {
    this.#outputs.push({ kind: "send", peer, datagram, exchange });
  }

  /** Sends a non-confirmable message; returns what to compare a Reset with. */
  sendOnce(state: PeerState<P>, content: Content, exchange?: number): { messageId: number; datagram: Uint8Array } {
    const messageId = takeMessageId(state);
    const { token, code, options, payload } = content;
    const type = MESSAGE_TYPE.nonConfirmable;
    const datagram = encodeMessage({ type, code, messageId, token, options, payload });
    this.send(state.peer, datagram, exchange);
    return { messageId, datagram };
  }

  /** Sends a confirmable message until it is acknowledged, rejected or given up; `owner` is told. */
  sendReliably(state: PeerState<P>, content: Content, delivery: Delivery): Pending {
    const messageId = takeMessageId(state);
    const { token, code, options, payload } = content;
    const type = MESSAGE_TYPE.confirmable;
    const datagram = encodeMessage({ type, code, messageId, token, options, payload });
    const transmission: Transmission<P> = { state, messageId, datagram, owner: delivery.owner };
    state.transmissions.set(messageId, transmission);
    state.busyCount += 1;
    const parameters = delivery.parameters ?? this.options.transmission;
    this.#reliability.step({ kind: "sent", key: transmission, parameters }, delivery.nowMs);
    this.send(state.peer, datagram, delivery.exchange);
    return transmission;
  }

  /** An acknowledgement or Reset came. One for a message that is no longer pending changes nothing (§4.2). */
  settle(state: PeerState<P>, messageId: number, outcome: "acknowledged" | "rejected", nowMs: number): boolean {
    const transmission = state.transmissions.get(messageId);
    if (transmission === undefined) return false;
    this.stop(state, transmission, nowMs);
    if (outcome === "acknowledged") transmission.owner.onAcknowledged(nowMs);
    else transmission.owner.onRejected(nowMs);
    return true;
  }

  /** Retransmits no more; nobody is told. */
  stop(state: PeerState<P>, { messageId }: Pending, nowMs: number): void {
    const transmission = state.transmissions.get(messageId);
    if (transmission === undefined) return;
    state.transmissions.delete(messageId);
    state.busyCount -= 1;
    this.#reliability.step({ kind: "settled", key: transmission }, nowMs);
  }

  wake(nowMs: number): void {
    for (const due of this.#reliability.step({ kind: "wake" }, nowMs)) {
      const { key: transmission } = due;
      if (due.kind === "retransmit") {
        this.send(transmission.state.peer, transmission.datagram);
        transmission.owner.onRetransmitted(due.retransmissionCount);
      } else {
        this.stop(transmission.state, transmission, nowMs);
        transmission.owner.onNoAnswer(nowMs);
      }
    }
    this.peers.expire(nowMs);
  }

  /** Begins at once or when an earlier turn of this peer ends. @see RFC 7252 §4.7 (NSTART) */
  queueTurn(state: PeerState<P>, turn: Turn, nowMs: number): void {
    if (state.activeTurns >= this.options.nstart) {
      state.waiting.push(turn);
      return;
    }
    state.activeTurns += 1;
    turn.begin(nowMs);
  }

  endTurn(state: PeerState<P>, nowMs: number): void {
    state.activeTurns -= 1;
    const next = state.waiting.shift();
    if (next) this.queueTurn(state, next, nowMs);
  }

  /** Leaves the queue before its turn. */
  leaveQueue(state: PeerState<P>, turn: Turn): void {
    const place = state.waiting.indexOf(turn);
    if (place >= 0) state.waiting.splice(place, 1);
  }
}

/** The earlier of two instants that may be absent. */
export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined || a <= b ? a : b;
}
