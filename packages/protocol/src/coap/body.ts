/** Bodies that are larger than one message: read or written piece by piece, never held as a whole. */
import type { CoapResponse } from "./exchange.ts";

/** A body to send. */
export interface BlockSource {
  readonly sizeBytes: number;
  /**
   * The octets `offset … offset + length`, fewer only at the end of the body. May be asked for any place, in any order,
   * and for the same place again. The result is read before the next call.
   */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

/** Takes a body in order. The next block is asked for only after `write` is done. */
export interface BlockSink {
  /** `bytes` (1 … 1024 octets) is a view that is valid until the promise settles; `offset` is its place in the body. */
  write(bytes: Uint8Array, offset: number): void | Promise<void>;
}

/** What a server's handler answers: a response whose body may be a source instead of a payload. */
export interface CoapAnswer extends CoapResponse {
  /** Sent block by block; then `payload` is empty. Give an ETag with it, so that a client knows when the body changed. */
  readonly body?: BlockSource;
}

/** Takes the body of a request that comes in blocks. */
export interface UploadSink extends BlockSink {
  /** All blocks have been written; the answer to the request as a whole. */
  finish(): CoapAnswer | Promise<CoapAnswer>;
  /** No more will come: the client started over or fell silent, or `write` or `finish` failed. Called at most once. */
  abort(): void;
}

/** A source over octets in memory; a view. */
export function memorySource(bytes: Uint8Array): BlockSource {
  return { sizeBytes: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}
