/** How answers travel in datagrams: with the acknowledgement, or after it, and again for a duplicate (RFC 7252 §4.5, §5.2). */
import { DATAGRAM_BLOCKS } from "./block-option.ts";
import { CODE } from "./codes.ts";
import type { Seen } from "./dedup.ts";
import type { IncomingRequest } from "./endpoint-types.ts";
import type { CoapResponse, Peer } from "./exchange.ts";
import { LinkedQueue, type QueueLinks } from "./linked-queue.ts";
import { type CoapMessage, encodeEmpty, encodeMessage, MESSAGE_TYPE } from "./message.ts";
import type { MessageLayer } from "./message-layer.ts";
import type { PeerState } from "./peer-table.ts";
import type { Replies, Serving } from "./server-exchanges.ts";
import { exchangeLifetimeMs, nonLifetimeMs } from "./transmission.ts";

interface DatagramServing<P extends Peer> extends Serving<P, PeerState<P>>, QueueLinks<DatagramServing<P>> {
  readonly messageId: number;
  readonly seen: Seen;
  ackAtMs: number;
  isAcknowledged: boolean;
}

/** A separate response is repeated until it arrives; nobody needs to know when. */
const NOBODY = { onAcknowledged() {}, onRejected() {}, onNoAnswer() {}, onRetransmitted() {} };

export class DatagramReplies<P extends Peer> implements Replies<P, PeerState<P>, CoapMessage> {
  readonly #layer: MessageLayer<P>;
  readonly #deferred = new LinkedQueue<DatagramServing<P>>();
  readonly #lifetimeMs: number;
  readonly #nonLifetimeMs: number;

  constructor(layer: MessageLayer<P>) {
    this.#layer = layer;
    this.#lifetimeMs = exchangeLifetimeMs(layer.options.transmission);
    this.#nonLifetimeMs = nonLifetimeMs(layer.options.transmission);
  }

  get wakeAtMs(): number | undefined {
    return this.#deferred.first?.ackAtMs;
  }

  begin(state: PeerState<P>, message: CoapMessage, nowMs: number): DatagramServing<P> {
    const { token, messageId } = message;
    const isConfirmable = message.type === MESSAGE_TYPE.confirmable;
    const forgetAtMs = nowMs + (isConfirmable ? this.#lifetimeMs : this.#nonLifetimeMs);
    return {
      peer: state.peer,
      request: message,
      token,
      isConfirmable,
      blocks: DATAGRAM_BLOCKS,
      state,
      messageId,
      seen: this.#layer.dedup.add(state.seen, message, forgetAtMs),
      ackAtMs: 0,
      isAcknowledged: false,
      isAnswered: false,
      before: undefined,
      after: undefined,
      isQueued: false,
    };
  }

  /** Acknowledges the request later, unless it is answered first. */
  defer(incoming: IncomingRequest<P>, nowMs: number): void {
    const serving = incoming as DatagramServing<P>;
    if (serving.isAnswered || serving.isAcknowledged || serving.isQueued || !serving.isConfirmable) return;
    serving.ackAtMs = nowMs + this.#layer.options.ackDelayMs;
    this.#deferred.append(serving);
  }

  wake(nowMs: number): void {
    for (let due = this.#deferred.first; due !== undefined && due.ackAtMs <= nowMs; due = this.#deferred.first) {
      this.#deferred.remove(due);
      this.#acknowledge(due);
    }
  }

  send(serving: DatagramServing<P>, response: CoapResponse, nowMs: number): void {
    this.#deferred.remove(serving);
    const { state, messageId, token, seen } = serving;
    const { code, options, payload } = response;
    if (!serving.isConfirmable) {
      this.#layer.sendOnce(state, { token, code, options, payload });
      this.#layer.dedup.settle(seen, undefined);
    } else if (serving.isAcknowledged) {
      // A peer that takes no answers must not make us keep ever more of them.
      if (state.transmissions.size >= this.#layer.options.servingPerPeer || this.#layer.isCrowded)
        this.#layer.sendOnce(state, { token, code, options, payload });
      else this.#layer.sendReliably(state, { token, code, options, payload }, { owner: NOBODY, nowMs });
    } else {
      const type = MESSAGE_TYPE.acknowledgement;
      const datagram = encodeMessage({ type, code, messageId, token, options, payload });
      this.#layer.dedup.settle(seen, datagram);
      this.#layer.send(state.peer, datagram);
    }
  }

  /** @see RFC 7967 §2 */
  stayQuiet(serving: DatagramServing<P>): void {
    this.#deferred.remove(serving);
    if (!serving.isConfirmable) this.#layer.dedup.settle(serving.seen, undefined);
    else if (!serving.isAcknowledged) this.#acknowledge(serving);
  }

  refuse(state: PeerState<P>, message: CoapMessage, response: CoapResponse): void {
    const { token, messageId } = message;
    const { code, options, payload } = response;
    if (message.type === MESSAGE_TYPE.confirmable) {
      const type = MESSAGE_TYPE.acknowledgement;
      this.#layer.send(state.peer, encodeMessage({ type, code, messageId, token, options, payload }));
    } else if (code !== CODE.badOption)
      // One that is not confirmable and has an unknown critical option is dropped (RFC 7252 §5.4.1).
      this.#layer.sendOnce(state, { token, code, options, payload });
  }

  #acknowledge(serving: DatagramServing<P>): void {
    const datagram = encodeEmpty(MESSAGE_TYPE.acknowledgement, serving.messageId);
    serving.isAcknowledged = true;
    this.#layer.dedup.settle(serving.seen, datagram);
    this.#layer.send(serving.peer, datagram);
  }
}
