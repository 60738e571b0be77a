/** What turns a package that is no image by itself into one: a differential image, an archive. */
import type { ImageFile } from "@airlift/protocol/image/reader";

/** The image that runs at present, as it was verified. */
export interface BaseImage extends ImageFile {
  /** SHA-256, hex. */
  readonly sha256: string;
}

export interface DecodeOptions {
  /** Absent when the device runs what it was made with, which is in no slot. */
  readonly base: BaseImage | undefined;
  readonly package: ImageFile;
  /** The image may not be larger. */
  readonly maxImageBytes: number;
}

/**
 * Decodes packages of one kind. The image that comes out is verified as any other, so a decoder need not trust what it
 * reads, but its memory has to stay within a bound that it names, whatever a package says of itself.
 */
export interface ImageDecoder {
  /** Whether a package is of this kind; `head` is its first `HEAD_BYTES` octets, or all of a shorter one. */
  recognises(head: Uint8Array): boolean;
  /**
   * The image, piece by piece; a piece is a view that is valid until the next one is asked for. After a power cut it is
   * asked for again from its beginning.
   *
   * @throws {HandlerError} unsupportedPackage: made for another base, or larger than allowed. integrityFailed: damaged.
   *   noMemory.
   */
  decode(options: DecodeOptions): AsyncIterable<Uint8Array>;
}

/** Octets by which a package is recognised. */
export const HEAD_BYTES = 128;
