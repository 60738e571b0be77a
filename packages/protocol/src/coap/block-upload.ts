/** Sending a body in blocks (RFC 7959 §2.5, RFC 8323 §6), one request at a time. */
import type { Core } from "../lib/core.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import {
  type Block,
  type BlockLimits,
  blockOption,
  DATAGRAM_BLOCKS,
  findBlock,
  MAX_BLOCK_BYTES,
  MAX_BLOCK_NUMBER,
} from "./block-option.ts";
import { type BusyLimits, BusyRetry, DEFAULT_BUSY_LIMITS } from "./busy-retry.ts";
import { CODE, isSuccessCode } from "./codes.ts";
import { CoapRefusal, type CoapRequest, type CoapResponse } from "./exchange.ts";
import { OPTION, uintOption } from "./options.ts";

/** SZX 0 (RFC 7959 §2.2). */
const MIN_BLOCK_BYTES = 16;

export type UploadInput =
  | { readonly kind: "start" }
  /** What was asked for with `read`. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "response"; readonly response: CoapResponse }
  | { readonly kind: "wake" };

export type UploadOutput =
  | { readonly kind: "read"; readonly offset: number; readonly length: number }
  | { readonly kind: "request"; readonly request: CoapRequest }
  /** The peer has taken so many octets; fewer than before when it made the transfer start over. */
  | { readonly kind: "acknowledged"; readonly bytes: number }
  /** The peer refused a block as too large, and gets smaller ones from the start on (RFC 7959 §2.9.3). */
  | { readonly kind: "shrunk"; readonly blockBytes: number }
  | { readonly kind: "finished"; readonly response: CoapResponse }
  | { readonly kind: "failed"; readonly error: PeerError };

export interface BlockUploadOptions {
  /** Largest block to use; over a reliable transport also a multiple of 1024: several blocks at once. Default what `limits` say. */
  readonly blockBytes?: number | undefined;
  /** What the transport and the peer allow. Default as over datagrams. */
  readonly limits?: BlockLimits | undefined;
  /** How often the transfer starts over when the peer has lost blocks (4.08). Default 2. */
  readonly maxRestarts?: number | undefined;
  readonly busy?: BusyLimits | undefined;
  /**
   * Octets that the peer has taken in an earlier transfer that broke off, with blocks that they are a multiple of. A peer
   * that has forgotten them answers 4.08, and the transfer starts over (RFC 7959 §2.9.2). Default 0.
   */
  readonly offset?: number | undefined;
}

/**
 * Fails with `CoapRefusal` for an error code, or `PeerError`: `BLOCK_MISMATCH` when the peer acknowledges another block than
 * was sent · `BLOCK_IGNORED` when it takes the first block for the whole body.
 */
export class BlockUpload implements Core<UploadInput, UploadOutput> {
  readonly #request: CoapRequest;
  readonly #sizeBytes: number;
  readonly #busy: BusyRetry;
  #restartsLeft: number;
  readonly #allowsBert: boolean;
  #blockBytes: number;
  /** Octets in one message: a block, or several of them. */
  #partBytes: number;
  #offset = 0;
  #sent: Block | undefined;
  #sentBytes = 0;
  #wakeAtMs: number | undefined;

  /** @throws {UsageError} `BODY_TOO_LARGE` when the body has more blocks than can be numbered. */
  constructor(request: CoapRequest, sizeBytes: number, options: BlockUploadOptions = {}) {
    this.#request = request;
    this.#sizeBytes = sizeBytes;
    const { maxBytes, allowsBert } = options.limits ?? DATAGRAM_BLOCKS;
    this.#allowsBert = allowsBert;
    this.#partBytes = options.blockBytes ?? maxBytes;
    this.#blockBytes = allowsBert ? Math.min(this.#partBytes, MAX_BLOCK_BYTES) : this.#partBytes;
    this.#restartsLeft = options.maxRestarts ?? 2;
    this.#busy = new BusyRetry(options.busy ?? DEFAULT_BUSY_LIMITS);
    if (options.offset !== undefined && options.offset < sizeBytes) this.#goOnAt(options.offset);
    if (sizeBytes > (MAX_BLOCK_NUMBER + 1) * this.#blockBytes)
      throw new UsageError("BODY_TOO_LARGE", "more blocks than can be numbered", { sizeBytes });
  }

  get wakeAtMs(): number | undefined {
    return this.#wakeAtMs;
  }

  step(input: UploadInput, nowMs: number): UploadOutput[] {
    try {
      switch (input.kind) {
        case "start":
          return [this.#read()];
        case "bytes":
          return [this.#send(input.bytes)];
        case "response":
          return this.#respond(input.response, nowMs);
        case "wake":
          if (this.#wakeAtMs === undefined || nowMs < this.#wakeAtMs) return [];
          this.#wakeAtMs = undefined;
          return [this.#read()];
      }
    } catch (error) {
      if (error instanceof PeerError) return [{ kind: "failed", error }];
      throw error;
    }
  }

  #read(): UploadOutput {
    return { kind: "read", offset: this.#offset, length: Math.min(this.#partBytes, this.#sizeBytes - this.#offset) };
  }

  #send(bytes: Uint8Array): UploadOutput {
    this.#sentBytes = bytes.length;
    if (this.#sizeBytes <= this.#partBytes) {
      this.#sent = undefined;
      return { kind: "request", request: { ...this.#request, payload: bytes } };
    }
    const number = this.#offset / this.#blockBytes;
    if (number > MAX_BLOCK_NUMBER)
      throw new PeerError("BODY_TOO_LARGE", "the peer's blocks are too small for the body");
    const block: Block = { number, more: this.#offset + bytes.length < this.#sizeBytes, sizeBytes: this.#blockBytes };
    this.#sent = this.#partBytes > this.#blockBytes ? { ...block, isBert: true } : block;
    const options = [...this.#request.options, blockOption(OPTION.block1, this.#sent)];
    if (this.#offset === 0) options.push(uintOption(OPTION.size1, this.#sizeBytes));
    return { kind: "request", request: { ...this.#request, options, payload: bytes } };
  }

  #respond(response: CoapResponse, nowMs: number): UploadOutput[] {
    const waitMs = this.#busy.waitMs(response);
    if (waitMs !== undefined) {
      this.#wakeAtMs = nowMs + waitMs;
      return [];
    }
    const acknowledged = findBlock(response.options, OPTION.block1, this.#allowsBert);
    if (isSuccessCode(response.code)) return this.#advance(response, acknowledged);
    if (response.code === CODE.requestEntityTooLarge && acknowledged && this.#isSmaller(acknowledged))
      return [{ kind: "shrunk", blockBytes: acknowledged.sizeBytes }, ...this.#startOver(acknowledged)];
    if (response.code === CODE.requestEntityIncomplete && this.#offset > 0 && this.#restartsLeft > 0) {
      this.#restartsLeft -= 1;
      return this.#startOver();
    }
    throw new CoapRefusal(response);
  }

  /** The block was taken whole, also when the answer asks for smaller ones from here on (RFC 7959 §2.3). */
  #advance(response: CoapResponse, acknowledged: Block | undefined): UploadOutput[] {
    this.#busy.reset();
    const sent = this.#sent;
    if (sent?.more && acknowledged === undefined)
      throw new PeerError("BLOCK_IGNORED", "the peer took a block for the whole body");
    if (sent && acknowledged && acknowledged.number !== sent.number)
      throw new PeerError("BLOCK_MISMATCH", "the peer acknowledged another block", { ...acknowledged });
    this.#offset += this.#sentBytes;
    const progress: UploadOutput = { kind: "acknowledged", bytes: this.#offset };
    if (!sent?.more) return [progress, { kind: "finished", response }];
    if (acknowledged && this.#isSmaller(acknowledged)) this.#use(acknowledged);
    return [progress, this.#read()];
  }

  /** The peer's blocks divide what it has taken, so the largest that do so are the best guess. */
  #goOnAt(offset: number): void {
    let blockBytes = Math.min(this.#partBytes, MAX_BLOCK_BYTES);
    while (blockBytes > MIN_BLOCK_BYTES && offset % blockBytes !== 0) blockBytes /= 2;
    if (offset % blockBytes !== 0 || offset === 0) return;
    this.#offset = offset;
    this.#partBytes = blockBytes;
    this.#blockBytes = blockBytes;
  }

  #isSmaller(block: Block): boolean {
    return block.sizeBytes < this.#blockBytes || (this.#partBytes > this.#blockBytes && !block.isBert);
  }

  #use({ sizeBytes, isBert }: Block): void {
    if (!isBert) this.#partBytes = sizeBytes;
    this.#blockBytes = sizeBytes;
  }

  #startOver(smaller?: Block): UploadOutput[] {
    if (smaller) this.#use(smaller);
    this.#offset = 0;
    return [{ kind: "acknowledged", bytes: 0 }, this.#read()];
  }
}
