/**
 * One CoAP endpoint over datagrams, client and server in one: messages in, messages out (RFC 7252, RFC 7641).
 *
 * Serves 100,000 peers: nothing here walks over all of them, and every table has a limit (see `EndpointOptions`).
 * What a peer sends never throws past `step`.
 */
import type { Core, Random } from "../lib/core.ts";
import { PeerError } from "../lib/errors.ts";
import { ClientExchanges } from "./client-exchanges.ts";
import { isRequestCode, isResponseCode } from "./codes.ts";
import { DatagramReplies } from "./datagram-replies.ts";
import {
  DEFAULT_ENDPOINT_OPTIONS,
  type EndpointInput,
  type EndpointOptions,
  type EndpointOutput,
} from "./endpoint-types.ts";
import type { Peer } from "./exchange.ts";
import { type CoapMessage, decodeMessage, encodeEmpty, MESSAGE_TYPE, peekHeader } from "./message.ts";
import { earlier, MessageLayer } from "./message-layer.ts";
import { Observers } from "./observers.ts";
import { acceptableOptions } from "./options.ts";
import type { PeerState } from "./peer-table.ts";
import { ping } from "./pings.ts";
import { ServerExchanges } from "./server-exchanges.ts";
import { checkTransmission, exchangeLifetimeMs } from "./transmission.ts";

/** What an endpoint holds at this moment. */
export interface EndpointLoad {
  readonly peers: number;
  readonly exchanges: number;
  readonly serving: number;
  readonly observers: number;
  readonly seenBytes: number;
}

export class Endpoint<P extends Peer> implements Core<EndpointInput<P>, EndpointOutput<P>> {
  readonly #layer: MessageLayer<P>;
  readonly #client: ClientExchanges<P, PeerState<P>>;
  readonly #observers: Observers<P, PeerState<P>>;
  readonly #replies: DatagramReplies<P>;
  readonly #server: ServerExchanges<P, PeerState<P>, CoapMessage>;
  readonly #lifetimeMs: number;

  /**
   * @param random Makes tokens and the spread of timeouts; towards an open network it must not be guessable.
   * @throws {UsageError} `COAP_TRANSMISSION`
   */
  constructor(random: Random, options: Partial<EndpointOptions> = {}) {
    const all = { ...DEFAULT_ENDPOINT_OPTIONS, ...options };
    this.#lifetimeMs = exchangeLifetimeMs(checkTransmission(all.transmission));
    this.#layer = new MessageLayer(all, random);
    this.#client = new ClientExchanges(this.#layer, random);
    this.#observers = new Observers(this.#layer);
    this.#replies = new DatagramReplies(this.#layer);
    this.#server = new ServerExchanges(this.#layer, this.#observers, this.#replies);
  }

  get load(): EndpointLoad {
    return {
      peers: this.#layer.peers.size,
      exchanges: this.#client.size,
      serving: this.#server.servingCount,
      observers: this.#observers.size,
      seenBytes: this.#layer.dedup.bytes,
    };
  }

  get wakeAtMs(): number | undefined {
    return earlier(earlier(this.#layer.wakeAtMs, this.#client.wakeAtMs), this.#replies.wakeAtMs);
  }

  step(input: EndpointInput<P>, nowMs: number): EndpointOutput<P>[] {
    switch (input.kind) {
      case "datagram":
        this.#receive(input.peer, input.datagram, nowMs);
        break;
      case "request":
        this.#client.request(input, nowMs);
        break;
      case "ping":
        ping(this.#layer, input.peer, input.exchange, nowMs);
        break;
      case "cancel":
        this.#client.cancel(input.exchange, nowMs);
        break;
      case "defer":
        this.#replies.defer(input.incoming, nowMs);
        break;
      case "respond":
        this.#server.respond(input.incoming, input, nowMs);
        break;
      case "notify":
        this.#observers.notify(input.observer, input.response, input.confirmable, nowMs);
        break;
      case "forget":
        this.#observers.forget(input.observer);
        break;
      case "unreachable":
        this.#unreachable(input.peer, nowMs);
        break;
      case "wake":
        this.#layer.wake(nowMs);
        this.#client.wake(nowMs);
        this.#replies.wake(nowMs);
        break;
    }
    return this.#layer.takeOutputs();
  }

  #receive(peer: P, datagram: Uint8Array, nowMs: number): void {
    const message = this.#decode(peer, datagram);
    if (message === undefined) return;
    const { type, code } = message;
    if (type === MESSAGE_TYPE.reset || type === MESSAGE_TYPE.acknowledgement) this.#answered(peer, message, nowMs);
    else if (isRequestCode(code)) this.#requested(this.#layer.peers.touch(peer, nowMs), message, nowMs);
    else if (isResponseCode(code)) this.#responded(peer, message, nowMs);
    // A ping (an Empty confirmable message), or a code of a reserved class (RFC 7252 §4.2, §4.3).
    else if (type === MESSAGE_TYPE.confirmable)
      this.#layer.send(peer, encodeEmpty(MESSAGE_TYPE.reset, message.messageId));
  }

  /** A malformed confirmable message is rejected, anything else that cannot be read is ignored (RFC 7252 §4.2, §4.3). */
  #decode(peer: P, datagram: Uint8Array): CoapMessage | undefined {
    try {
      return decodeMessage(datagram);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      const header = peekHeader(datagram);
      if (header?.type === MESSAGE_TYPE.confirmable)
        this.#layer.send(peer, encodeEmpty(MESSAGE_TYPE.reset, header.messageId));
      return undefined;
    }
  }

  #requested(state: PeerState<P>, message: CoapMessage, nowMs: number): void {
    const seen = this.#layer.dedup.find(state.seen, message, nowMs);
    if (seen === undefined) this.#server.accept(state, message, nowMs);
    else if (seen.reply) this.#layer.send(state.peer, seen.reply);
  }

  /** An acknowledgement, with or without a response in it, or a Reset. */
  #answered(peer: P, message: CoapMessage, nowMs: number): void {
    const state = this.#layer.peers.find(peer.key);
    if (state === undefined) return;
    const { type, code, messageId, token, payload } = message;
    if (type === MESSAGE_TYPE.reset) {
      if (code !== 0 || this.#layer.settle(state, messageId, "rejected", nowMs)) return;
      this.#client.reject(state, messageId, nowMs);
      this.#observers.reject(state, messageId);
    } else if (code === 0) this.#layer.settle(state, messageId, "acknowledged", nowMs);
    else if (isResponseCode(code)) {
      const options = acceptableOptions(message.options);
      if (typeof options === "number") this.#client.acceptUnusable(state, token, nowMs);
      else
        this.#client.accept(
          state,
          { token, messageId, response: { code, options, payload }, isPiggybacked: true },
          nowMs,
        );
    }
  }

  /** A response in a message of its own: it is acknowledged, or rejected when nobody waits for it (RFC 7252 §5.3.2). */
  #responded(peer: P, message: CoapMessage, nowMs: number): void {
    const { type, code, messageId, token, payload } = message;
    const isConfirmable = type === MESSAGE_TYPE.confirmable;
    const state = this.#layer.peers.find(peer.key);
    if (state === undefined) {
      this.#layer.send(peer, encodeEmpty(MESSAGE_TYPE.reset, messageId));
      return;
    }
    const before = this.#layer.dedup.find(state.seen, message, nowMs);
    if (before) {
      if (before.reply) this.#layer.send(peer, before.reply);
      return;
    }
    const seen = this.#layer.dedup.add(state.seen, message, nowMs + this.#lifetimeMs);
    const options = acceptableOptions(message.options);
    let isWanted = false;
    if (typeof options === "number") this.#client.acceptUnusable(state, token, nowMs);
    else {
      const response = { code, options, payload };
      isWanted = this.#client.accept(state, { token, messageId, response, isPiggybacked: false }, nowMs);
    }
    const replyType = isWanted ? MESSAGE_TYPE.acknowledgement : MESSAGE_TYPE.reset;
    const reply = isWanted && !isConfirmable ? undefined : encodeEmpty(replyType, messageId);
    this.#layer.dedup.settle(seen, reply);
    if (reply) this.#layer.send(peer, reply);
  }

  #unreachable(peer: P, nowMs: number): void {
    const state = this.#layer.peers.find(peer.key);
    if (state === undefined) return;
    this.#client.unreachable(state, nowMs);
    this.#observers.unreachable(state);
  }
}
