/** The promises behind the open exchanges of one endpoint. */
import { CODE } from "@airlift/protocol/coap/codes";
import type { ExchangeFailure, ExchangeInput, ExchangeOutput } from "@airlift/protocol/coap/endpoint-types";
import { type CoapRequest, type CoapResponse, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import { type AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import type { RequestOptions } from "./coap.ts";

/** What happens to an exchange. Either callback may come before `start` returns. */
export interface OpenExchange {
  onResponse(response: CoapResponse, isLast: boolean): void;
  onFailure(error: AirliftError): void;
  readonly onRetransmission: ((count: number) => void) | undefined;
}

type Settlement<P extends Peer> = Extract<
  ExchangeOutput<P>,
  { readonly kind: "response" | "failed" | "retransmitted" | "pong" }
>;

export class OpenExchanges<P extends Peer> {
  readonly #feed: (input: ExchangeInput<P>) => void;
  readonly #open = new Map<number, OpenExchange>();
  #nextNumber = 0;
  #isClosed = false;

  constructor(feed: (input: ExchangeInput<P>) => void) {
    this.#feed = feed;
  }

  request(peer: P, request: CoapRequest, options: RequestOptions): Promise<CoapResponse> {
    const { signal, onRetransmission } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      let number: number | undefined;
      const onAbort = (): void => {
        this.cancel(number);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort);
      const settled = (): void => signal?.removeEventListener("abort", onAbort);
      number = this.start(peer, request, options, {
        onRetransmission,
        onResponse: (response) => {
          settled();
          resolve(response);
        },
        onFailure: (error) => {
          settled();
          reject(error);
        },
      });
    });
  }

  ping(peer: P): Promise<void> {
    return new Promise((resolve, reject) => {
      const exchange = this.#add({ onRetransmission: undefined, onResponse: () => resolve(), onFailure: reject });
      if (exchange !== undefined) this.#feed({ kind: "ping", exchange, peer });
    });
  }

  settle(output: Settlement<P>): void {
    const open = this.#open.get(output.exchange);
    if (open === undefined) return;
    if (output.kind === "retransmitted") {
      open.onRetransmission?.(output.retransmissionCount);
      return;
    }
    const isLast = output.kind !== "response" || output.isLast;
    if (isLast) this.#open.delete(output.exchange);
    if (output.kind === "failed") open.onFailure(failureError(output.reason));
    else open.onResponse(output.kind === "pong" ? PONG : output.response, isLast);
  }

  /** Every open exchange fails with `COAP_CLOSED`, and every later one. */
  close(): void {
    this.#isClosed = true;
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const exchange of open) exchange.onFailure(closedError());
  }

  /** Sends a request; its number, to cancel it with. */
  start(peer: P, request: CoapRequest, options: RequestOptions, open: OpenExchange): number | undefined {
    const exchange = this.#add(open);
    if (exchange === undefined) return undefined;
    const { confirmable = true, transmission, responseTimeoutMs, token } = options;
    try {
      this.#feed({ kind: "request", exchange, peer, request, confirmable, transmission, responseTimeoutMs, token });
    } catch (error) {
      this.#open.delete(exchange);
      throw error;
    }
    return exchange;
  }

  /** The number of a new exchange; none, and the exchange has failed, when all is closed. */
  #add(open: OpenExchange): number | undefined {
    if (this.#isClosed) {
      open.onFailure(closedError());
      return undefined;
    }
    this.#nextNumber += 1;
    this.#open.set(this.#nextNumber, open);
    return this.#nextNumber;
  }

  /** Whether the exchange was still open. */
  cancel(number: number | undefined): boolean {
    if (number === undefined || !this.#open.delete(number)) return false;
    this.#feed({ kind: "cancel", exchange: number });
    return true;
  }
}

const PONG = createResponse(CODE.empty);

const closedError = (): AirliftError => new EnvironmentError("COAP_CLOSED", "the endpoint was closed");

function failureError(reason: ExchangeFailure): AirliftError {
  switch (reason) {
    case "noAnswer":
      return new EnvironmentError("COAP_TIMEOUT", "the peer did not answer");
    case "unreachable":
      return new EnvironmentError("COAP_UNREACHABLE", "the network cannot reach the peer");
    case "overloaded":
      return new EnvironmentError("COAP_OVERLOADED", "too many exchanges are open");
    case "rejected":
      return new PeerError("COAP_RESET", "the peer rejected the request with a Reset");
    case "tooLarge":
      return new PeerError("COAP_TOO_LARGE", "the peer takes no message as large as the request");
    case "badResponse":
      return new PeerError("COAP_BAD_RESPONSE", "the response has a critical option that is not known");
  }
}
