/** The image door, `/fw/<image>`: any device may fetch any block at any time, and nothing is kept between two (RFC 7959 §2.4). */
import { type Block, blockOffset, findBlock } from "@airlift/protocol/coap/block-option";
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption, uriPath, uriQuery } from "@airlift/protocol/coap/options";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { ImageSource, ImageStore } from "../store/ports.ts";

/** Tells that the device of an update has asked for `offset`, so everything before it has arrived. */
export type OnFetched = (updateId: string, offset: number) => void;

/** Images whose source is at hand without asking the store; more are looked up again. */
const SOURCE_LIMIT = 256;

/** An image, or a delta, that is sent for an update. */
export interface SentFile {
  readonly packageId: string;
  readonly updateId: string;
}

/** The path of a file, with the update for which it is fetched, so that progress finds its way whatever port or NAT it comes by. */
export function imagePath({ packageId, updateId }: SentFile): string {
  return `/fw/${packageId}?${UPDATE_QUERY}${updateId}`;
}

const UPDATE_QUERY = "u=";

export class ImageDoor {
  readonly #images: ImageStore;
  readonly #onFetched: OnFetched;
  readonly #sources = new Map<string, ImageSource>();

  constructor(images: ImageStore, onFetched: OnFetched) {
    this.#images = images;
    this.#onFetched = onFetched;
  }

  /** The answer to a request below `/fw`. At once when the image was asked for before: this is the hot path of a rollout. */
  answer(request: CoapRequest): CoapAnswer | Promise<CoapAnswer> {
    const [, imageId, ...rest] = uriPath(request.options);
    if (imageId === undefined || rest.length > 0) return createResponse(CODE.notFound);
    if (request.code !== METHOD.get) return createResponse(CODE.methodNotAllowed);
    const source = this.#sources.get(imageId);
    return source === undefined ? this.#find(imageId, request) : this.#serve(source, request);
  }

  async #find(imageId: string, request: CoapRequest): Promise<CoapAnswer> {
    const source = await this.#images.openSource(imageId);
    if (source === undefined) return createResponse(CODE.notFound);
    const [oldest] = this.#sources.keys();
    if (oldest !== undefined && this.#sources.size >= SOURCE_LIMIT) this.#sources.delete(oldest);
    this.#sources.set(imageId, source);
    return this.#serve(source, request);
  }

  #serve(source: ImageSource, request: CoapRequest): CoapAnswer {
    const update = uriQuery(request.options).find((query) => query.startsWith(UPDATE_QUERY));
    if (update !== undefined)
      this.#onFetched(update.slice(UPDATE_QUERY.length), Math.min(offsetAsked(request), source.sizeBytes));
    const options = [
      { number: OPTION.etag, value: source.etag },
      uintOption(OPTION.contentFormat, CONTENT_FORMATS.opaque),
    ];
    return { code: CODE.content, options, payload: EMPTY, body: source };
  }
}

function offsetAsked(request: CoapRequest): number {
  let block: Block | undefined;
  try {
    block = findBlock(request.options, OPTION.block2);
  } catch {
    return 0; // The answer refuses what cannot be read.
  }
  return block === undefined ? 0 : blockOffset(block);
}
