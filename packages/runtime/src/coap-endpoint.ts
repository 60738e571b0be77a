/** What an endpoint does for its applications, whatever carries its messages: the asking and the serving side. */
import type { BlockLimits } from "@airlift/protocol/coap/block-option";
import type { BlockSink, BlockSource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import type { ExchangeInput, ExchangeOutput } from "@airlift/protocol/coap/endpoint-types";
import { type CoapRequest, type CoapResponse, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import type {
  CoapClient,
  CoapHandler,
  CoapServer,
  DownloadOptions,
  DownloadResult,
  Observation,
  ObserveOptions,
  RequestOptions,
  ServeOptions,
  UploadOptions,
  WholeOptions,
} from "./coap.ts";
import { OpenExchanges } from "./coap-exchanges.ts";
import { Observing } from "./coap-observing.ts";
import { CoapResponder } from "./coap-responder.ts";
import { download, requestWhole, type TransferPeer, upload } from "./coap-transfer.ts";

export abstract class CoapEndpoint<P extends Peer> implements CoapClient<P>, CoapServer<P> {
  readonly #exchanges = new OpenExchanges<P>((input) => this.feed(input));
  #responder = this.#createResponder(() => createResponse(CODE.notFound), {});

  request(peer: P, request: CoapRequest, options: RequestOptions = {}): Promise<CoapResponse> {
    return this.#exchanges.request(peer, request, options);
  }

  observe(
    peer: P,
    request: CoapRequest,
    onNotification: (response: CoapResponse) => void,
    options: ObserveOptions = {},
  ): Promise<Observation> {
    return new Observing(this.#exchanges, peer, request, options).start(onNotification);
  }

  download(peer: P, request: CoapRequest, sink: BlockSink, options: DownloadOptions = {}): Promise<DownloadResult> {
    return download(this.#transferPeer(peer), request, sink, options);
  }

  upload(peer: P, request: CoapRequest, source: BlockSource, options: UploadOptions = {}): Promise<CoapResponse> {
    return upload(this.#transferPeer(peer), request, source, options);
  }

  requestWhole(peer: P, request: CoapRequest, options: WholeOptions = {}): Promise<CoapResponse> {
    return requestWhole(this.#transferPeer(peer), request, options);
  }

  /** A sign of life, that every CoAP endpoint gives; rejects as `request` does. @see RFC 7252 §4.3, RFC 8323 §5.4 */
  ping(peer: P): Promise<void> {
    return this.#exchanges.ping(peer);
  }

  serve(handler: CoapHandler<P>, options: ServeOptions<P> = {}): void {
    this.#responder.close();
    this.#responder = this.#createResponder(handler, options);
  }

  /** Gives the core an input and carries out what follows. */
  protected abstract feed(input: ExchangeInput<P>): void;

  /** What bodies to and from this peer may be cut into. */
  protected abstract blocksOf(peer: P): BlockLimits;

  protected perform(output: ExchangeOutput<P>): void {
    if (output.kind === "request") this.#responder.handle(output.incoming);
    else if (output.kind === "observationEnded") this.#responder.observationEnded(output.observer, output.reason);
    else this.#exchanges.settle(output);
  }

  /** Settles every promise; nothing is served any more. */
  protected end(): void {
    this.#responder.close();
    this.#exchanges.close();
  }

  #transferPeer(peer: P): TransferPeer {
    return { blocks: this.blocksOf(peer), request: (request, options) => this.request(peer, request, options) };
  }

  #createResponder(handler: CoapHandler<P>, options: ServeOptions<P>): CoapResponder<P> {
    return new CoapResponder<P>(handler, options, (input) => this.feed(input));
  }
}
