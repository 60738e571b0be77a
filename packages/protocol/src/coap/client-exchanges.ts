/** The client half of an endpoint: requests that wait for their answers (RFC 7252 §5.2, §5.3; RFC 7641 §3). */
import type { Random } from "../lib/core.ts";
import { Deadlines } from "../lib/deadlines.ts";
import { UsageError } from "../lib/errors.ts";
import { isSuccessCode } from "./codes.ts";
import type { ExchangeFailure, RequestInput } from "./endpoint-types.ts";
import type { CoapResponse, Peer } from "./exchange.ts";
import type { Content, ExchangeLayer, PeerWork, Pending, TransmissionOwner, Turn } from "./exchange-layer.ts";
import { type Freshness, isFresher, OBSERVE } from "./observe.ts";
import { OPTION, optionUint } from "./options.ts";

interface Exchange<P extends Peer, S extends PeerWork<P>> extends TransmissionOwner, Turn {
  readonly input: RequestInput<P>;
  readonly state: S;
  readonly tokenKey: string;
  readonly content: Content;
  readonly isObserving: boolean;
  readonly giveUpAfterMs: number;
  transmission: Pending | undefined;
  /** Message ID of a request that is not retransmitted, to know a Reset for it. */
  messageId: number | undefined;
  hasTurn: boolean;
  giveUpAtMs: number;
  newest: Freshness | undefined;
}

export class ClientExchanges<P extends Peer, S extends PeerWork<P>> {
  readonly #layer: ExchangeLayer<P, S>;
  readonly #random: Random;
  readonly #byNumber = new Map<number, Exchange<P, S>>();
  readonly #byToken = new Map<string, Exchange<P, S>>();
  readonly #deadlines = new Deadlines<Exchange<P, S>>();
  readonly #byPeer = new Map<S, Set<Exchange<P, S>>>();

  constructor(layer: ExchangeLayer<P, S>, random: Random) {
    this.#layer = layer;
    this.#random = random;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  /** Whether an exchange with this peer is open. */
  hasOpen(state: S): boolean {
    return this.#byPeer.has(state);
  }

  /** Whether a new exchange with this peer may use the token. */
  isFree(state: S, token: Uint8Array): boolean {
    return !this.#byToken.has(tokenKey(state, token));
  }

  /** @throws {UsageError} `COAP_EXCHANGE` or `COAP_TOKEN` when the number or the token is in use. */
  request(input: RequestInput<P>, nowMs: number): void {
    const { options } = this.#layer;
    const state = this.#layer.touch(input.peer, nowMs);
    if (state === undefined) {
      this.#layer.emit({ kind: "failed", exchange: input.exchange, reason: "unreachable" });
      return;
    }
    const ofPeer = this.#byPeer.get(state) ?? new Set();
    if (this.#byNumber.size >= options.exchanges || ofPeer.size >= options.exchangesPerPeer) {
      this.#layer.emit({ kind: "failed", exchange: input.exchange, reason: "overloaded" });
      return;
    }
    const exchange = this.#open(input, state);
    this.#byNumber.set(input.exchange, exchange);
    this.#byToken.set(exchange.tokenKey, exchange);
    this.#byPeer.set(state, ofPeer.add(exchange));
    state.busyCount += 1;
    this.#layer.queueTurn(state, exchange, nowMs);
  }

  cancel(exchangeNumber: number, nowMs: number): void {
    const exchange = this.#byNumber.get(exchangeNumber);
    if (exchange) this.#close(exchange, nowMs);
  }

  /** Whether the response belongs to an exchange; if not it is to be rejected. */
  accept(
    state: S,
    message: { token: Uint8Array; messageId: number; response: CoapResponse; isPiggybacked: boolean },
    nowMs: number,
  ): boolean {
    const exchange = this.#byToken.get(tokenKey(state, message.token));
    if (exchange === undefined) return false;
    if (message.isPiggybacked && exchange.transmission?.messageId !== message.messageId) return false;
    const { response } = message;
    const sequence = exchange.isObserving ? optionUint(response.options, OPTION.observe) : undefined;
    if (sequence !== undefined && isSuccessCode(response.code)) {
      this.#settleTransmission(exchange, nowMs);
      this.#notified(exchange, response, { sequence, atMs: nowMs });
      return true;
    }
    this.#close(exchange, nowMs);
    this.#layer.emit({ kind: "response", exchange: exchange.input.exchange, response, isLast: true });
    return true;
  }

  /** The peer answered with something that may not be acted on (RFC 7252 §5.4.1). */
  acceptUnusable(state: S, token: Uint8Array, nowMs: number): void {
    const exchange = this.#byToken.get(tokenKey(state, token));
    if (exchange) this.#fail(exchange, "badResponse", nowMs);
  }

  /** A Reset for a request that was sent without asking for an acknowledgement. */
  reject(state: S, messageId: number, nowMs: number): void {
    for (const exchange of this.#byPeer.get(state) ?? []) {
      if (exchange.messageId !== messageId) continue;
      this.#fail(exchange, "rejected", nowMs);
      return;
    }
  }

  unreachable(state: S, nowMs: number): void {
    for (const exchange of [...(this.#byPeer.get(state) ?? [])]) this.#fail(exchange, "unreachable", nowMs);
  }

  wake(nowMs: number): void {
    for (let due = this.#deadlines.popDue(nowMs); due !== undefined; due = this.#deadlines.popDue(nowMs)) {
      if (nowMs >= due.giveUpAtMs) this.#fail(due, "noAnswer", nowMs);
      else {
        this.#deadlines.set(due, due.giveUpAtMs);
        this.#endTurn(due, nowMs);
      }
    }
  }

  #open(input: RequestInput<P>, state: S): Exchange<P, S> {
    const { code, options, payload } = input.request;
    const token = input.token ?? this.#newToken();
    const key = tokenKey(state, token);
    if (this.#byNumber.has(input.exchange)) throw new UsageError("COAP_EXCHANGE", "exchange number is in use");
    if (this.#byToken.has(key)) throw new UsageError("COAP_TOKEN", "token is in use with this peer");
    const exchange: Exchange<P, S> = {
      input,
      state,
      tokenKey: key,
      content: { code, options, payload, token },
      isObserving: optionUint(options, OPTION.observe) === OBSERVE.register,
      giveUpAfterMs: input.responseTimeoutMs ?? this.#layer.responseTimeoutMs,
      transmission: undefined,
      messageId: undefined,
      hasTurn: false,
      giveUpAtMs: Number.POSITIVE_INFINITY,
      newest: undefined,
      begin: (nowMs) => this.#send(exchange, nowMs),
      onAcknowledged: (nowMs) => this.#arrived(exchange, nowMs),
      onRejected: (nowMs) => this.#fail(exchange, "rejected", nowMs),
      onNoAnswer: (nowMs) => this.#fail(exchange, "noAnswer", nowMs),
      onRetransmitted: (retransmissionCount) =>
        this.#layer.emit({ kind: "retransmitted", exchange: input.exchange, retransmissionCount }),
    };
    return exchange;
  }

  #send(exchange: Exchange<P, S>, nowMs: number): void {
    const { input, state, content } = exchange;
    exchange.hasTurn = true;
    if (input.confirmable || !this.#layer.sendOnce) {
      const delivery = { owner: exchange, parameters: input.transmission, exchange: input.exchange, nowMs };
      exchange.transmission = this.#layer.sendReliably(state, content, delivery);
      return;
    }
    const { messageId, datagram } = this.#layer.sendOnce(state, content, input.exchange);
    exchange.messageId = messageId;
    exchange.giveUpAtMs = nowMs + exchange.giveUpAfterMs;
    // A silent peer keeps its turn until the datagram is paid for at PROBING_RATE (RFC 7252 §4.7).
    const paidAtMs = nowMs + (datagram.length * 1000) / this.#layer.options.probingRateBps;
    this.#deadlines.set(exchange, Math.min(paidAtMs, exchange.giveUpAtMs));
  }

  /** The request has arrived; the response will come in a message of its own. */
  #arrived(exchange: Exchange<P, S>, nowMs: number): void {
    exchange.transmission = undefined;
    exchange.giveUpAtMs = nowMs + exchange.giveUpAfterMs;
    this.#deadlines.set(exchange, exchange.giveUpAtMs);
    this.#endTurn(exchange, nowMs);
  }

  #notified(exchange: Exchange<P, S>, response: CoapResponse, freshness: Freshness): void {
    this.#deadlines.delete(exchange);
    // What arrives in order needs no sequence numbers (RFC 8323 §7.1).
    if (this.#layer.sendOnce && exchange.newest && !isFresher(exchange.newest, freshness)) return;
    exchange.newest = freshness;
    this.#layer.emit({ kind: "response", exchange: exchange.input.exchange, response, isLast: false });
  }

  #fail(exchange: Exchange<P, S>, reason: ExchangeFailure, nowMs: number): void {
    this.#close(exchange, nowMs);
    this.#layer.emit({ kind: "failed", exchange: exchange.input.exchange, reason });
  }

  #close(exchange: Exchange<P, S>, nowMs: number): void {
    if (!this.#byNumber.delete(exchange.input.exchange)) return;
    const { state } = exchange;
    this.#byToken.delete(exchange.tokenKey);
    this.#deadlines.delete(exchange);
    const ofPeer = this.#byPeer.get(state);
    if (ofPeer?.delete(exchange) && ofPeer.size === 0) this.#byPeer.delete(state);
    state.busyCount -= 1;
    if (!exchange.hasTurn) this.#layer.leaveQueue(state, exchange);
    this.#settleTransmission(exchange, nowMs);
  }

  /** A response tells that the request has arrived, whether or not it was acknowledged (RFC 7252 §5.2.2). */
  #settleTransmission(exchange: Exchange<P, S>, nowMs: number): void {
    if (exchange.transmission) this.#layer.stop(exchange.state, exchange.transmission, nowMs);
    exchange.transmission = undefined;
    this.#endTurn(exchange, nowMs);
  }

  #endTurn(exchange: Exchange<P, S>, nowMs: number): void {
    if (!exchange.hasTurn) return;
    exchange.hasTurn = false;
    this.#layer.endTurn(exchange.state, nowMs);
  }

  /** Six octets that cannot be guessed from outside (RFC 7252 §5.3.1). */
  #newToken(): Uint8Array {
    const high = Math.floor(this.#random() * 0x100_0000);
    const low = Math.floor(this.#random() * 0x100_0000);
    return Uint8Array.of(high >> 16, high >> 8, high, low >> 16, low >> 8, low);
  }
}

function tokenKey(state: PeerWork<Peer>, token: Uint8Array): string {
  return `${String.fromCharCode(...token)} ${state.peer.key}`;
}
