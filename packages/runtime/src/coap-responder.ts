/** The serving side of one endpoint: from a request to its handler and back. */
import { answerBlock } from "@airlift/protocol/coap/answer-block";
import { type BlockLimits, findBlock } from "@airlift/protocol/coap/block-option";
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE, isSafeMethod, isSuccessCode } from "@airlift/protocol/coap/codes";
import type { ExchangeInput, IncomingRequest, ObservationEnd } from "@airlift/protocol/coap/endpoint-types";
import {
  CoapRefusal,
  type CoapRequest,
  type CoapResponse,
  createResponse,
  type Peer,
} from "@airlift/protocol/coap/exchange";
import { OBSERVE } from "@airlift/protocol/coap/observe";
import type { Observer } from "@airlift/protocol/coap/observers";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import type { CoapHandler, ServeOptions } from "./coap.ts";
import { Offer } from "./coap-observation.ts";
import { CoapUploads } from "./coap-uploads.ts";

export class CoapResponder<P extends Peer> {
  readonly #handler: CoapHandler<P>;
  readonly #options: ServeOptions<P>;
  readonly #feed: (input: ExchangeInput<P>) => void;
  readonly #uploads: CoapUploads<P>;

  constructor(handler: CoapHandler<P>, options: ServeOptions<P>, feed: (input: ExchangeInput<P>) => void) {
    this.#handler = handler;
    this.#options = options;
    this.#feed = feed;
    this.#uploads = new CoapUploads(handler, options);
  }

  /** Never throws: whatever goes wrong becomes an answer. */
  handle(incoming: IncomingRequest<P>): void {
    const offer = this.#offer(incoming);
    try {
      const answer = this.#dispatch(incoming, offer);
      if (answer instanceof Promise) {
        this.#feed({ kind: "defer", incoming });
        answer.then(
          (settled) => this.#answer(incoming, settled, offer),
          (error: unknown) => this.#refuse(incoming, error, offer),
        );
      } else this.#answer(incoming, answer, offer);
    } catch (error) {
      this.#refuse(incoming, error, offer);
    }
  }

  observationEnded(observer: Observer<P>, reason: ObservationEnd): void {
    (observer.subject as Offer<P>).ended(reason);
  }

  close(): void {
    this.#uploads.close();
  }

  #dispatch(incoming: IncomingRequest<P>, offer: Offer<P> | undefined): CoapAnswer | Promise<CoapAnswer> {
    const { request, peer, blocks } = incoming;
    const block1 = findBlock(request.options, OPTION.block1, blocks.allowsBert);
    if (block1) return this.#uploads.accept(request, peer, block1);
    return this.#handler(request, peer, offer);
  }

  #offer(incoming: IncomingRequest<P>): Offer<P> | undefined {
    const { request, blocks } = incoming;
    if (!isSafeMethod(request.code) || optionUint(request.options, OPTION.observe) !== OBSERVE.register)
      return undefined;
    return new Offer(incoming, this.#feed, (answer) => this.#cut(request, blocks, answer));
  }

  #answer(incoming: IncomingRequest<P>, answer: CoapAnswer, offer: Offer<P> | undefined): void {
    try {
      const response = this.#cut(incoming.request, incoming.blocks, answer);
      if (response instanceof Promise) {
        this.#feed({ kind: "defer", incoming });
        response.then(
          (settled) => this.#respond(incoming, settled, offer),
          (error: unknown) => this.#refuse(incoming, error, offer),
        );
      } else this.#respond(incoming, response, offer);
    } catch (error) {
      this.#refuse(incoming, error, offer);
    }
  }

  #respond(incoming: IncomingRequest<P>, response: CoapResponse, offer: Offer<P> | undefined): void {
    if (offer?.observer === undefined) {
      this.#feed({ kind: "respond", incoming, response });
      return;
    }
    this.#feed({ kind: "respond", incoming, response, observer: offer.observer });
    if (isSuccessCode(response.code)) offer.registered();
    else offer.ended("refused");
  }

  /** The part of an answer that goes into one response. */
  #cut(request: CoapRequest, blocks: BlockLimits, answer: CoapAnswer): CoapResponse | Promise<CoapResponse> {
    const { code, body, payload, options } = answer;
    const sizeBytes = body ? body.sizeBytes : payload.length;
    if (!isSuccessCode(code)) return answer;
    const wishedBytes = this.#options.blockBytes ?? blocks.maxBytes;
    const limits = wishedBytes < blocks.maxBytes ? { ...blocks, maxBytes: wishedBytes } : blocks;
    const block = answerBlock(request, sizeBytes, limits);
    if (block === undefined) {
      if (body === undefined) return answer;
      const whole = body.read(0, sizeBytes);
      return whole instanceof Promise
        ? whole.then((bytes) => createResponse(code, bytes, options))
        : createResponse(code, whole, options);
    }
    if (!isSafeMethod(request.code) && block.length < sizeBytes)
      throw new UsageError("ANSWER_TOO_LARGE", "only GET and FETCH can be answered in blocks", { sizeBytes });
    const all = [...options, ...block.options];
    if (body === undefined)
      return createResponse(code, payload.subarray(block.offset, block.offset + block.length), all);
    const part = body.read(block.offset, block.length);
    return part instanceof Promise
      ? part.then((bytes) => createResponse(code, bytes, all))
      : createResponse(code, part, all);
  }

  #tellRefusal({ request, peer }: IncomingRequest<P>, { message: why, response }: CoapRefusal): void {
    if (request.options.some(({ number }) => number === OPTION.block1))
      this.#options.onBodyRefused?.({ request: { ...request, payload: EMPTY }, code: response.code, why }, peer);
  }

  #refuse(incoming: IncomingRequest<P>, error: unknown, offer: Offer<P> | undefined): void {
    if (error instanceof CoapRefusal) {
      this.#tellRefusal(incoming, error);
      this.#respond(incoming, error.response, offer);
      return;
    }
    const code =
      error instanceof PeerError && error.code === "BLOCK_FORMAT" ? CODE.badRequest : CODE.internalServerError;
    this.#respond(incoming, createResponse(code), offer);
    if (code === CODE.internalServerError) this.#options.onError?.(error, incoming.request, incoming.peer);
  }
}
