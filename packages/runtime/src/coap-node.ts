/** A CoAP endpoint on a channel of datagrams: client and server in one (RFC 7252, RFC 7641, RFC 7959). */
import { randomBytes } from "node:crypto";
import type { BlockSink, BlockSource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { Endpoint, type EndpointLoad } from "@airlift/protocol/coap/endpoint";
import type {
  EndpointInput,
  EndpointOptions,
  EndpointOutput,
  IncomingRequest,
} from "@airlift/protocol/coap/endpoint-types";
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
  TransferOptions,
  WholeOptions,
} from "./coap.ts";
import { OpenExchanges } from "./coap-exchanges.ts";
import { Observing } from "./coap-observing.ts";
import { CoapResponder } from "./coap-responder.ts";
import { download, requestWhole, upload } from "./coap-transfer.ts";
import type { DatagramChannel } from "./datagrams.ts";
import { type Driven, drive } from "./drive.ts";

export interface CoapNodeOptions {
  /** Limits and times of the endpoint; what is absent is as in `DEFAULT_ENDPOINT_OPTIONS`. */
  readonly endpoint?: Partial<EndpointOptions> | undefined;
  /** For demonstrations and tests: whether to lose this datagram, before it is sent or after it came. Default: none. */
  readonly loss?: ((direction: "in" | "out", datagram: Uint8Array) => boolean) | undefined;
}

export class CoapNode<P extends Peer> implements CoapClient<P>, CoapServer<P> {
  readonly #channel: DatagramChannel<P>;
  readonly #core: Endpoint<P>;
  readonly #driven: Driven<EndpointInput<P>, EndpointOutput<P>>;
  readonly #exchanges: OpenExchanges<P>;
  readonly #loss: CoapNodeOptions["loss"];
  #responder: CoapResponder<P>;

  constructor(channel: DatagramChannel<P>, options: CoapNodeOptions = {}) {
    this.#channel = channel;
    this.#loss = options.loss;
    this.#core = new Endpoint<P>(createRandom(), options.endpoint);
    this.#driven = drive(this.#core, { kind: "wake" }, (output) => this.#perform(output));
    this.#exchanges = new OpenExchanges((input) => this.#driven.feed(input));
    this.#responder = this.#createResponder(() => createResponse(CODE.notFound), {});
    channel.open({
      onDatagram: (peer, datagram) => {
        if (!this.#loss?.("in", datagram)) this.#driven.feed({ kind: "datagram", peer, datagram });
      },
      onUnreachable: (peer) => this.#driven.feed({ kind: "unreachable", peer }),
    });
  }

  get load(): EndpointLoad {
    return this.#core.load;
  }

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
    return download((block, how) => this.request(peer, block, how), request, sink, options);
  }

  upload(peer: P, request: CoapRequest, source: BlockSource, options: TransferOptions = {}): Promise<CoapResponse> {
    return upload((block, how) => this.request(peer, block, how), request, source, options);
  }

  requestWhole(peer: P, request: CoapRequest, options: WholeOptions = {}): Promise<CoapResponse> {
    return requestWhole((part, how) => this.request(peer, part, how), request, options);
  }

  /** A sign of life, that every CoAP endpoint gives; rejects as `request` does. @see RFC 7252 §4.3 */
  ping(peer: P): Promise<void> {
    return this.#exchanges.ping(peer);
  }

  serve(handler: CoapHandler<P>, options: ServeOptions<P> = {}): void {
    this.#responder.close();
    this.#responder = this.#createResponder(handler, options);
  }

  /** Stops at once. Requests that wait reject with `COAP_CLOSED`; peers are not told. May be called twice. */
  async close(): Promise<void> {
    this.#driven.stop();
    this.#responder.close();
    this.#exchanges.close();
    await this.#channel.close();
  }

  #createResponder(handler: CoapHandler<P>, options: ServeOptions<P>): CoapResponder<P> {
    return new CoapResponder<P>(handler, options, (input) => this.#driven.feed(input));
  }

  #perform(output: EndpointOutput<P>): void {
    if (output.kind === "send") {
      if (!this.#loss?.("out", output.datagram))
        this.#channel.send(output.peer, output.datagram, output.exchange !== undefined);
    } else if (output.kind === "request") this.#responder.handle(output.incoming as IncomingRequest<P>);
    else if (output.kind === "observationEnded") this.#responder.observationEnded(output.observer, output.reason);
    else this.#exchanges.settle(output);
  }
}

/** Uniform numbers from the system's generator: tokens must not be guessable (RFC 7252 §5.3.1). */
function createRandom(): () => number {
  const words = new Uint32Array(256);
  let next = words.length;
  return () => {
    if (next === words.length) {
      words.set(new Uint32Array(Uint8Array.from(randomBytes(words.byteLength)).buffer));
      next = 0;
    }
    const word = words[next] as number;
    next += 1;
    return word / 2 ** 32;
  };
}
