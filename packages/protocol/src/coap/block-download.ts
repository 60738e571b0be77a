/** Getting a body in blocks (RFC 7959 §2.4, RFC 8323 §6), one request at a time, each only after the block before it was taken. */
import { EMPTY, equalBytes } from "../lib/bytes.ts";
import type { Core } from "../lib/core.ts";
import { PeerError } from "../lib/errors.ts";
import {
  type Block,
  type BlockLimits,
  blockOffset,
  blockOption,
  DATAGRAM_BLOCKS,
  findBlock,
  hasBlockLength,
  MAX_BLOCK_BYTES,
  MAX_BLOCK_NUMBER,
} from "./block-option.ts";
import { type BusyLimits, BusyRetry, DEFAULT_BUSY_LIMITS } from "./busy-retry.ts";
import { isSuccessCode } from "./codes.ts";
import { CoapRefusal, type CoapRequest, type CoapResponse } from "./exchange.ts";
import { OPTION, optionBytes, optionUint } from "./options.ts";

export type DownloadInput =
  | { readonly kind: "start" }
  | { readonly kind: "response"; readonly response: CoapResponse }
  /** The owner has put the octets where they belong. */
  | { readonly kind: "taken" }
  | { readonly kind: "wake" };

export type DownloadOutput =
  | { readonly kind: "request"; readonly request: CoapRequest }
  /** Once, before the first octets. */
  | {
      readonly kind: "started";
      readonly etag: Uint8Array | undefined;
      readonly sizeBytes: number | undefined;
      readonly response: CoapResponse;
    }
  /** To be taken; `bytes` is a view, not empty. */
  | { readonly kind: "data"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "finished"; readonly sizeBytes: number; readonly etag: Uint8Array | undefined }
  | { readonly kind: "failed"; readonly error: PeerError };

export interface BlockDownloadOptions {
  /** Octets already held. */
  readonly offset?: number | undefined;
  /** ETag of what is already held. */
  readonly etag?: Uint8Array | undefined;
  /** Block size to ask for; without it and without an offset the first request has no Block2 option. */
  readonly blockBytes?: number | undefined;
  /** What the transport and the server allow; above 1024 octets several blocks are asked for at once. Default as over datagrams. */
  readonly limits?: BlockLimits | undefined;
  readonly maxBytes?: number | undefined;
  readonly busy?: BusyLimits | undefined;
}

/**
 * Fails with `CoapRefusal` for an error code, or `PeerError`: `ETAG_CHANGED` when the body is another one than before
 * (start over from 0) · `BLOCK_MISMATCH` when the server sends another block than asked for, or one of a wrong length ·
 * `BODY_TOO_LARGE` · `BLOCK_FORMAT`.
 */
export class BlockDownload implements Core<DownloadInput, DownloadOutput> {
  readonly #request: CoapRequest;
  readonly #maxBytes: number;
  readonly #busy: BusyRetry;
  readonly #allowsBert: boolean;
  #blockBytes: number;
  #isBert: boolean;
  #asksForBlock: boolean;
  #receivedBytes: number;
  #etag: Uint8Array | undefined;
  #hasStarted = false;
  #isLast = false;
  #wakeAtMs: number | undefined;

  constructor(request: CoapRequest, options: BlockDownloadOptions = {}) {
    this.#request = request;
    this.#receivedBytes = options.offset ?? 0;
    const { maxBytes: limitBytes, allowsBert } = options.limits ?? DATAGRAM_BLOCKS;
    const wishedBytes = options.blockBytes ?? limitBytes;
    this.#allowsBert = allowsBert;
    this.#isBert = allowsBert && wishedBytes > MAX_BLOCK_BYTES;
    this.#blockBytes = this.#isBert ? MAX_BLOCK_BYTES : wishedBytes;
    this.#asksForBlock = options.blockBytes !== undefined || this.#receivedBytes > 0;
    this.#etag = options.etag && Uint8Array.from(options.etag);
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#busy = new BusyRetry(options.busy ?? DEFAULT_BUSY_LIMITS);
  }

  get wakeAtMs(): number | undefined {
    return this.#wakeAtMs;
  }

  /** Octets that the owner holds. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  step(input: DownloadInput, nowMs: number): DownloadOutput[] {
    try {
      switch (input.kind) {
        case "start":
          return [this.#nextRequest()];
        case "response":
          return this.#respond(input.response, nowMs);
        case "taken":
          return this.#continue();
        case "wake":
          if (this.#wakeAtMs === undefined || nowMs < this.#wakeAtMs) return [];
          this.#wakeAtMs = undefined;
          return [this.#nextRequest()];
      }
    } catch (error) {
      if (error instanceof PeerError) return [{ kind: "failed", error }];
      throw error;
    }
  }

  #nextRequest(): DownloadOutput {
    if (!this.#asksForBlock) return { kind: "request", request: this.#request };
    const number = Math.floor(this.#receivedBytes / this.#blockBytes);
    if (number > MAX_BLOCK_NUMBER) throw new PeerError("BODY_TOO_LARGE", "more blocks than can be numbered");
    const block: Block = { number, more: false, sizeBytes: this.#blockBytes };
    const option = blockOption(OPTION.block2, this.#isBert ? { ...block, isBert: true } : block);
    return { kind: "request", request: { ...this.#request, options: [...this.#request.options, option] } };
  }

  #respond(response: CoapResponse, nowMs: number): DownloadOutput[] {
    const waitMs = this.#busy.waitMs(response);
    if (waitMs !== undefined) {
      this.#wakeAtMs = nowMs + waitMs;
      return [];
    }
    if (!isSuccessCode(response.code)) throw new CoapRefusal(response);
    this.#busy.reset();
    const block = this.#blockOf(response);
    this.#checkEtag(response);
    const bytes = this.#newBytes(block, response.payload);
    if (this.#receivedBytes + bytes.length > this.#maxBytes) throw tooLarge(this.#maxBytes);
    this.#isLast = block === undefined || !block.more;
    this.#asksForBlock = true;
    const started = this.#hasStarted ? [] : [this.#started(response)];
    if (bytes.length === 0) return [...started, ...this.#continue()];
    const offset = this.#receivedBytes;
    this.#receivedBytes += bytes.length;
    return [...started, { kind: "data", offset, bytes }];
  }

  #continue(): DownloadOutput[] {
    if (!this.#isLast) return [this.#nextRequest()];
    return [{ kind: "finished", sizeBytes: this.#receivedBytes, etag: this.#etag }];
  }

  #started(response: CoapResponse): DownloadOutput {
    this.#hasStarted = true;
    const sizeBytes =
      optionUint(response.options, OPTION.size2) ?? (this.#isLast ? this.#lengthOf(response) : undefined);
    if (sizeBytes !== undefined && sizeBytes > this.#maxBytes) throw tooLarge(this.#maxBytes);
    return { kind: "started", etag: this.#etag, sizeBytes, response };
  }

  #lengthOf(response: CoapResponse): number {
    const block = this.#blockOf(response);
    return (block ? blockOffset(block) : 0) + response.payload.length;
  }

  #blockOf(response: CoapResponse): Block | undefined {
    return findBlock(response.options, OPTION.block2, this.#allowsBert);
  }

  /** Once a block had an ETag all must have the same one (RFC 7959 §2.4). */
  #checkEtag(response: CoapResponse): void {
    const etag = optionBytes(response.options, OPTION.etag);
    if (this.#etag === undefined) {
      if (etag === undefined) return;
      if (this.#hasStarted) throw new PeerError("ETAG_CHANGED", "a later block has an ETag, the first had none");
      this.#etag = Uint8Array.from(etag);
    } else if (etag === undefined || !equalBytes(etag, this.#etag))
      throw new PeerError("ETAG_CHANGED", "the body is not the one of the earlier blocks");
  }

  /** The octets of a block that are not yet held. */
  #newBytes(block: Block | undefined, payload: Uint8Array): Uint8Array {
    if (block === undefined) {
      if (this.#hasStarted) throw new PeerError("BLOCK_MISMATCH", "a later response is not a block");
      return payload.length <= this.#receivedBytes ? EMPTY : payload.subarray(this.#receivedBytes);
    }
    const expected = this.#asksForBlock ? this.#receivedBytes - (this.#receivedBytes % this.#blockBytes) : 0;
    const isLarger = block.sizeBytes > this.#blockBytes || (block.isBert === true && !this.#isBert);
    const isAskedFor = blockOffset(block) === expected && !(this.#asksForBlock && isLarger);
    if (!isAskedFor || !hasBlockLength(block, payload.length))
      throw new PeerError("BLOCK_MISMATCH", "not the block that was asked for", { ...block, expected });
    this.#blockBytes = block.sizeBytes;
    this.#isBert = block.isBert === true;
    // A resumed download may get octets it holds already: blocks begin at multiples of their size.
    return payload.subarray(Math.min(this.#receivedBytes - expected, payload.length));
  }
}

const tooLarge = (maxBytes: number): PeerError =>
  new PeerError("BODY_TOO_LARGE", "the body is larger than allowed", { maxBytes });
