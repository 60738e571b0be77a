/** An observation as its server's handler sees it, from the offer to the end. */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE, isSuccessCode } from "@airlift/protocol/coap/codes";
import type { ExchangeInput, IncomingRequest } from "@airlift/protocol/coap/endpoint-types";
import { type CoapResponse, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import type { Observer } from "@airlift/protocol/coap/observers";
import type { ObservationOffer, ServerObservation } from "./coap.ts";

type Notice = { readonly answer: CoapAnswer; readonly confirmable: boolean };

export class Offer<P extends Peer> implements ObservationOffer, ServerObservation {
  readonly token: Uint8Array;
  readonly #peer: P;
  readonly #feed: (input: ExchangeInput<P>) => void;
  readonly #cut: (answer: CoapAnswer) => CoapResponse | Promise<CoapResponse>;
  #observer: Observer<P> | undefined;
  #onEnd: ((reason: string) => void) | undefined;
  #isRegistered = false;
  #isActive = false;
  /** Said before the answer to the request was out. */
  #early: Notice | undefined;

  /** @param cut Takes the part of an answer that fits into one notification. */
  constructor(
    incoming: IncomingRequest<P>,
    feed: (input: ExchangeInput<P>) => void,
    cut: (answer: CoapAnswer) => CoapResponse | Promise<CoapResponse>,
  ) {
    this.token = incoming.token;
    this.#peer = incoming.peer;
    this.#feed = feed;
    this.#cut = cut;
  }

  /** Once accepted. */
  get observer(): Observer<P> | undefined {
    return this.#observer;
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  accept(onEnd?: (reason: string) => void): ServerObservation {
    // A copy: the token is a view of a datagram, which would live as long as the observation.
    this.#observer ??= { peer: this.#peer, token: Uint8Array.from(this.token), subject: this };
    this.#onEnd = onEnd;
    this.#isActive = true;
    return this;
  }

  /** The answer to the request is out. */
  registered(): void {
    this.#isRegistered = true;
    const early = this.#early;
    this.#early = undefined;
    if (early) this.notify(early.answer, early);
  }

  ended(reason: string): void {
    if (!this.#isActive) return;
    this.#isActive = false;
    this.#onEnd?.(reason);
  }

  notify(answer: CoapAnswer, options: { readonly confirmable?: boolean } = {}): void {
    const { confirmable = true } = options;
    if (!this.#isActive) return;
    if (!this.#isRegistered) {
      this.#early = { answer, confirmable };
      return;
    }
    const response = this.#cut(answer);
    if (response instanceof Promise)
      response.then(
        (settled) => this.#send(settled, confirmable),
        // A state that cannot be told any more ends the observation, and the client learns of it (RFC 7641 §4.2).
        () => this.#send(createResponse(CODE.internalServerError), true),
      );
    else this.#send(response, confirmable);
  }

  end(): void {
    if (!this.#isActive) return;
    this.#isActive = false;
    if (this.#observer) this.#feed({ kind: "forget", observer: this.#observer });
  }

  #send(response: CoapResponse, confirmable: boolean): void {
    if (this.#observer === undefined || !this.#isActive) return;
    this.#isActive = isSuccessCode(response.code);
    this.#feed({ kind: "notify", observer: this.#observer, response, confirmable });
  }
}
