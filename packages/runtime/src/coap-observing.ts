/** An observation of ours at a server (RFC 7641 §3). */
import { randomBytes } from "node:crypto";
import type { CoapRequest, CoapResponse, Peer } from "@airlift/protocol/coap/exchange";
import { OBSERVE } from "@airlift/protocol/coap/observe";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { BugError } from "@airlift/protocol/lib/errors";
import type { Observation, ObserveOptions } from "./coap.ts";
import type { OpenExchanges } from "./coap-exchanges.ts";

export class Observing<P extends Peer> implements Observation {
  readonly #exchanges: OpenExchanges<P>;
  readonly #peer: P;
  readonly #request: CoapRequest;
  readonly #options: ObserveOptions;
  readonly #token: Uint8Array;
  #number: number | undefined;
  #response: CoapResponse | undefined;
  #isActive = true;

  constructor(exchanges: OpenExchanges<P>, peer: P, request: CoapRequest, options: ObserveOptions) {
    this.#exchanges = exchanges;
    this.#peer = peer;
    this.#request = request;
    this.#options = options;
    this.#token = options.token ?? Uint8Array.from(randomBytes(6));
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  get response(): CoapResponse {
    if (this.#response === undefined) throw new BugError("COAP_OBSERVATION", "not yet registered");
    return this.#response;
  }

  /** Registers; the promise is fulfilled with the first response. Called once. */
  start(onNotification: (response: CoapResponse) => void): Promise<this> {
    const { signal, onRetransmission, onEnd } = this.#options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      signal?.addEventListener("abort", () => {
        this.#isActive = false;
        if (this.#exchanges.cancel(this.#number)) reject(signal.reason);
      });
      this.#number = this.#exchanges.start(this.#peer, this.#with(OBSERVE.register), this.#exchangeOptions, {
        onRetransmission,
        onFailure: (error) => {
          this.#isActive = false;
          if (this.#response === undefined) reject(error);
          else onEnd?.();
        },
        onResponse: (response, isLast) => {
          this.#isActive = !isLast;
          const isFirst = this.#response === undefined;
          this.#response ??= response;
          if (isFirst) resolve(this);
          else onNotification(response);
          if (isLast && !isFirst) onEnd?.();
        },
      });
    });
  }

  async cancel(): Promise<void> {
    if (!this.#isActive) return;
    this.#isActive = false;
    this.#exchanges.cancel(this.#number);
    // The same token tells the server which observation is meant (RFC 7641 §3.6).
    const options = { ...this.#exchangeOptions, signal: undefined };
    await this.#exchanges.request(this.#peer, this.#with(OBSERVE.deregister), options);
  }

  get #exchangeOptions(): ObserveOptions {
    return { ...this.#options, token: this.#token };
  }

  #with(observe: number): CoapRequest {
    return { ...this.#request, options: [uintOption(OPTION.observe, observe), ...this.#request.options] };
  }
}
