/** The server half of an endpoint: requests that came and how they are answered (RFC 7252 §5.2, §4.5). */
import { EMPTY } from "../lib/bytes.ts";
import { BugError } from "../lib/errors.ts";
import { CODE, isSuccessCode } from "./codes.ts";
import type { Seen } from "./dedup.ts";
import type { IncomingRequest } from "./endpoint-types.ts";
import { type CoapResponse, createResponse, type Peer } from "./exchange.ts";
import { LinkedQueue, type QueueLinks } from "./linked-queue.ts";
import { type CoapMessage, encodeEmpty, encodeMessage, MESSAGE_TYPE } from "./message.ts";
import type { MessageLayer } from "./message-layer.ts";
import { OBSERVE } from "./observe.ts";
import type { Observer, Observers } from "./observers.ts";
import { acceptableOptions, type CoapOption, OPTION, optionUint, uintOption } from "./options.ts";
import type { PeerState } from "./peer-table.ts";
import { exchangeLifetimeMs, nonLifetimeMs } from "./transmission.ts";

interface Serving<P extends Peer> extends IncomingRequest<P>, QueueLinks<Serving<P>> {
  readonly state: PeerState<P>;
  readonly messageId: number;
  readonly seen: Seen;
  ackAtMs: number;
  isAcknowledged: boolean;
  isAnswered: boolean;
}

/** A server that is full may have room again in a moment; without the option a client would wait a minute. */
const COME_BACK = [uintOption(OPTION.maxAge, 5)];

/** A separate response is repeated until it arrives; nobody needs to know when. */
const NOBODY = { onAcknowledged() {}, onRejected() {}, onNoAnswer() {}, onRetransmitted() {} };

export class ServerExchanges<P extends Peer> {
  readonly #layer: MessageLayer<P>;
  readonly #observers: Observers<P>;
  readonly #deferred = new LinkedQueue<Serving<P>>();
  readonly #lifetimeMs: number;
  readonly #nonLifetimeMs: number;
  #servingCount = 0;

  constructor(layer: MessageLayer<P>, observers: Observers<P>) {
    this.#layer = layer;
    this.#observers = observers;
    this.#lifetimeMs = exchangeLifetimeMs(layer.options.transmission);
    this.#nonLifetimeMs = nonLifetimeMs(layer.options.transmission);
  }

  get servingCount(): number {
    return this.#servingCount;
  }

  get wakeAtMs(): number | undefined {
    return this.#deferred.first?.ackAtMs;
  }

  /** A request that is not a duplicate. */
  accept(state: PeerState<P>, message: CoapMessage, nowMs: number): void {
    const isConfirmable = message.type === MESSAGE_TYPE.confirmable;
    const options = acceptableOptions(message.options);
    if (typeof options === "number") {
      // A non-confirmable message with an unknown critical option is dropped (RFC 7252 §5.4.1).
      if (isConfirmable) this.#refuse(state, message, CODE.badOption);
      return;
    }
    const refusal = this.#refusal(state, options);
    if (refusal !== undefined) {
      this.#refuse(state, message, refusal);
      return;
    }
    this.#serve(state, options === message.options ? message : { ...message, options }, nowMs);
  }

  #refusal(state: PeerState<P>, options: readonly CoapOption[]): number | undefined {
    for (const { number } of options)
      if (number === OPTION.proxyUri || number === OPTION.proxyScheme) return CODE.proxyingNotSupported;
    const { serving, servingPerPeer } = this.#layer.options;
    if (this.#servingCount >= serving || state.servingCount >= servingPerPeer) return CODE.serviceUnavailable;
    return undefined;
  }

  #serve(state: PeerState<P>, message: CoapMessage, nowMs: number): void {
    const { token, messageId, options } = message;
    const isConfirmable = message.type === MESSAGE_TYPE.confirmable;
    const forgetAtMs = nowMs + (isConfirmable ? this.#lifetimeMs : this.#nonLifetimeMs);
    const incoming: Serving<P> = {
      peer: state.peer,
      request: message,
      token,
      isConfirmable,
      state,
      messageId,
      seen: this.#layer.dedup.add(state.seen, messageId, forgetAtMs),
      ackAtMs: 0,
      isAcknowledged: false,
      isAnswered: false,
      before: undefined,
      after: undefined,
      isQueued: false,
    };
    this.#servingCount += 1;
    state.servingCount += 1;
    state.busyCount += 1;
    if (optionUint(options, OPTION.observe) === OBSERVE.deregister) this.#observers.end(state, token, "deregistered");
    this.#layer.emit({ kind: "request", incoming });
  }

  /** Acknowledges the request later, unless it is answered first. */
  defer(incoming: IncomingRequest<P>, nowMs: number): void {
    const serving = incoming as Serving<P>;
    if (serving.isAnswered || serving.isAcknowledged || serving.isQueued || !serving.isConfirmable) return;
    serving.ackAtMs = nowMs + this.#layer.options.ackDelayMs;
    this.#deferred.append(serving);
  }

  /** @throws {BugError} `COAP_ANSWERED` when the request has been answered already. */
  respond(
    incoming: IncomingRequest<P>,
    answer: { response: CoapResponse; observer?: Observer<P> | undefined },
    nowMs: number,
  ): void {
    const serving = incoming as Serving<P>;
    if (serving.isAnswered) throw new BugError("COAP_ANSWERED", "a request is answered once");
    serving.isAnswered = true;
    this.#deferred.remove(serving);
    this.#servingCount -= 1;
    serving.state.servingCount -= 1;
    serving.state.busyCount -= 1;
    const response = answer.observer
      ? this.#observed(serving, answer.observer, answer.response, nowMs)
      : answer.response;
    if (isSuppressed(serving, response.code)) this.#stayQuiet(serving);
    else this.#send(serving, response, nowMs);
  }

  wake(nowMs: number): void {
    for (let due = this.#deferred.first; due !== undefined && due.ackAtMs <= nowMs; due = this.#deferred.first) {
      this.#deferred.remove(due);
      this.#acknowledge(due);
    }
  }

  #send(serving: Serving<P>, response: CoapResponse, nowMs: number): void {
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
  #stayQuiet(serving: Serving<P>): void {
    if (!serving.isConfirmable) this.#layer.dedup.settle(serving.seen, undefined);
    else if (!serving.isAcknowledged) this.#acknowledge(serving);
  }

  #acknowledge(serving: Serving<P>): void {
    const datagram = encodeEmpty(MESSAGE_TYPE.acknowledgement, serving.messageId);
    serving.isAcknowledged = true;
    this.#layer.dedup.settle(serving.seen, datagram);
    this.#layer.send(serving.peer, datagram);
  }

  #observed(serving: Serving<P>, observer: Observer<P>, response: CoapResponse, nowMs: number): CoapResponse {
    if (!isSuccessCode(response.code)) return response;
    const sequence = this.#observers.add(serving.state, observer, nowMs);
    if (sequence === undefined) return response;
    return { ...response, options: [uintOption(OPTION.observe, sequence), ...response.options] };
  }

  /** Answers without keeping anything of the request. */
  #refuse(state: PeerState<P>, message: CoapMessage, code: number): void {
    const { options, payload } = createResponse(code, EMPTY, code === CODE.serviceUnavailable ? COME_BACK : []);
    const { token, messageId } = message;
    if (message.type !== MESSAGE_TYPE.confirmable) this.#layer.sendOnce(state, { token, code, options, payload });
    else {
      const type = MESSAGE_TYPE.acknowledgement;
      this.#layer.send(state.peer, encodeMessage({ type, code, messageId, token, options, payload }));
    }
  }
}

/** Whether the client does not want to hear of responses of this class. @see RFC 7967 §2.1 */
function isSuppressed<P extends Peer>(serving: Serving<P>, code: number): boolean {
  const unwanted = optionUint(serving.request.options, OPTION.noResponse);
  return unwanted !== undefined && (unwanted & (1 << ((code >> 5) - 1))) !== 0;
}
