/** Random access to an image that may be larger than memory. */
import { PeerError } from "../lib/errors.ts";

export interface ImageReader {
  /**
   * The octets from `offset` on: `length` of them, or fewer where the image ends. A view that stays valid until the
   * next call at least.
   */
  read(offset: number, length: number): Promise<Uint8Array> | Uint8Array;
}

/** An image somewhere: its octets and how many there are. */
export interface ImageFile {
  readonly reader: ImageReader;
  readonly sizeBytes: number;
}

/** Octets read at a time when a whole image is walked. */
export const CHUNK_BYTES = 65_536;

/** An image that is in memory. Reads are views of `bytes`. */
export function imageInMemory(bytes: Uint8Array): ImageFile {
  return {
    reader: { read: (offset, length) => bytes.subarray(offset, offset + length) },
    sizeBytes: bytes.length,
  };
}

/**
 * Exactly `length` octets from `offset` on, as a copy.
 *
 * @throws {PeerError} `IMAGE_TRUNCATED` when the image ends before.
 */
export async function readExactly(reader: ImageReader, offset: number, length: number): Promise<Uint8Array> {
  const whole = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const bytes = await reader.read(offset + filled, length - filled);
    if (bytes.length === 0) throw truncated(offset + length, offset + filled);
    whole.set(bytes, filled);
    filled += bytes.length;
  }
  return whole;
}

/**
 * Hands the octets 0 … `endOffset` − 1 to `take`, in order and in pieces of at most `CHUNK_BYTES`.
 *
 * @throws {PeerError} `IMAGE_TRUNCATED` when the image ends before.
 */
export async function walk(reader: ImageReader, endOffset: number, take: (bytes: Uint8Array) => void): Promise<void> {
  for (let offset = 0; offset < endOffset; ) {
    const bytes = await reader.read(offset, Math.min(CHUNK_BYTES, endOffset - offset));
    if (bytes.length === 0) throw truncated(endOffset, offset);
    take(bytes);
    offset += bytes.length;
  }
}

/** The error of an image that ends too early. */
export function truncated(neededBytes: number, sizeBytes: number): PeerError {
  return new PeerError("IMAGE_TRUNCATED", "the image ends before its parts do", { neededBytes, sizeBytes });
}
