/** The server half of an endpoint: requests that came and their answers, whatever carries them (RFC 7252 §5.2). */
import { BugError } from "../lib/errors.ts";
import { CODE, isSuccessCode } from "./codes.ts";
import type { IncomingRequest } from "./endpoint-types.ts";
import { type CoapRequest, type CoapResponse, createResponse, type Peer } from "./exchange.ts";
import type { ExchangeLayer, PeerWork } from "./exchange-layer.ts";
import { OBSERVE } from "./observe.ts";
import type { Observer, Observers } from "./observers.ts";
import { acceptableOptions, type CoapOption, OPTION, optionUint, uintOption } from "./options.ts";

/** A request that is being served. */
export interface Serving<P extends Peer, S extends PeerWork<P>> extends IncomingRequest<P> {
  readonly state: S;
  isAnswered: boolean;
}

/** How answers travel. */
export interface Replies<P extends Peer, S extends PeerWork<P>, M extends CoapRequest> {
  /** Remembers a request until it is answered. */
  begin(state: S, message: M, nowMs: number): Serving<P, S>;
  /** Sends the answer; called once, and not after `stayQuiet`. */
  send(serving: Serving<P, S>, response: CoapResponse, nowMs: number): void;
  /** The client wants no answer. */
  stayQuiet(serving: Serving<P, S>): void;
  /** Answers without keeping anything of the request. */
  refuse(state: S, message: M, response: CoapResponse): void;
}

/** A server that is full may have room again in a moment; without the option a client would wait a minute. */
const COME_BACK = [uintOption(OPTION.maxAge, 5)];

export class ServerExchanges<P extends Peer, S extends PeerWork<P>, M extends CoapRequest> {
  readonly #layer: ExchangeLayer<P, S>;
  readonly #observers: Observers<P, S>;
  readonly #replies: Replies<P, S, M>;
  #servingCount = 0;

  constructor(layer: ExchangeLayer<P, S>, observers: Observers<P, S>, replies: Replies<P, S, M>) {
    this.#layer = layer;
    this.#observers = observers;
    this.#replies = replies;
  }

  get servingCount(): number {
    return this.#servingCount;
  }

  /** A request that is not a duplicate. */
  accept(state: S, message: M, nowMs: number): void {
    const options = acceptableOptions(message.options);
    const refusal = typeof options === "number" ? CODE.badOption : this.#refusal(state, options);
    if (typeof options === "number" || refusal !== undefined) {
      const isBusy = refusal === CODE.serviceUnavailable;
      this.#replies.refuse(
        state,
        message,
        createResponse(refusal ?? CODE.badOption, undefined, isBusy ? COME_BACK : []),
      );
      return;
    }
    const serving = this.#replies.begin(state, options === message.options ? message : { ...message, options }, nowMs);
    this.#servingCount += 1;
    state.servingCount += 1;
    state.busyCount += 1;
    if (optionUint(options, OPTION.observe) === OBSERVE.deregister)
      this.#observers.end(state, serving.token, "deregistered");
    this.#layer.emit({ kind: "request", incoming: serving });
  }

  /** @throws {BugError} `COAP_ANSWERED` when the request has been answered already. */
  respond(
    incoming: IncomingRequest<P>,
    answer: { response: CoapResponse; observer?: Observer<P> | undefined },
    nowMs: number,
  ): void {
    const serving = incoming as Serving<P, S>;
    if (serving.isAnswered) throw new BugError("COAP_ANSWERED", "a request is answered once");
    serving.isAnswered = true;
    this.#servingCount -= 1;
    serving.state.servingCount -= 1;
    serving.state.busyCount -= 1;
    const response = answer.observer
      ? this.#observed(serving, answer.observer, answer.response, nowMs)
      : answer.response;
    if (isSuppressed(serving.request, response.code)) this.#replies.stayQuiet(serving);
    else this.#replies.send(serving, response, nowMs);
  }

  #refusal(state: S, options: readonly CoapOption[]): number | undefined {
    for (const { number } of options)
      if (number === OPTION.proxyUri || number === OPTION.proxyScheme) return CODE.proxyingNotSupported;
    const { serving, servingPerPeer } = this.#layer.options;
    if (this.#servingCount >= serving || state.servingCount >= servingPerPeer) return CODE.serviceUnavailable;
    return undefined;
  }

  #observed(serving: Serving<P, S>, observer: Observer<P>, response: CoapResponse, nowMs: number): CoapResponse {
    if (!isSuccessCode(response.code)) return response;
    const sequence = this.#observers.add(serving.state, observer, nowMs);
    if (sequence === undefined) return response;
    return { ...response, options: [uintOption(OPTION.observe, sequence), ...response.options] };
  }
}

/** Whether the client does not want to hear of responses of this class. @see RFC 7967 §2.1 */
function isSuppressed(request: CoapRequest, code: number): boolean {
  const unwanted = optionUint(request.options, OPTION.noResponse);
  return unwanted !== undefined && (unwanted & (1 << ((code >> 5) - 1))) !== 0;
}
