/**
 * A differential image: what a new image has that the one before it has not.
 *
 * The file is a Zstandard skippable frame (RFC 8878 §3.1.2) that says what the delta is made for, and then one Zstandard
 * frame of the new image with the old one as its dictionary. `zstd -d --patch-from=OLD` decodes it as it is.
 *
 *   offset  length
 *        0       4  0x184d2a5d, little-endian as all numbers here: a skippable frame
 *        4       4  88, the length of what follows up to the second frame
 *        8       8  "airlift1"
 *       16       8  length of the old image
 *       24       8  length of the new image
 *       32      32  SHA-256 of the old image
 *       64      32  SHA-256 of the new image
 *       96          the Zstandard frame
 */
import { encodeUtf8, equalBytes } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";

/** Octets before the Zstandard frame. */
export const DELTA_HEADER_BYTES = 96;

export interface DeltaHeader {
  readonly baseSizeBytes: number;
  readonly imageSizeBytes: number;
  /** SHA-256 of the old image, 32 octets. */
  readonly baseSha256: Uint8Array;
  /** SHA-256 of the new image, 32 octets. */
  readonly imageSha256: Uint8Array;
}

const SKIPPABLE_FRAME = 0x18_4d_2a_5d;
const NAME = encodeUtf8("airlift1");
const SHA256_BYTES = 32;

/** Whether a file that begins with `head` (16 octets or more) is a delta of this kind. */
export function isDelta(head: Uint8Array): boolean {
  return (
    head.length >= 16 && viewOf(head).getUint32(0, true) === SKIPPABLE_FRAME && equalBytes(head.subarray(8, 16), NAME)
  );
}

/** @throws {UsageError} DELTA_HEADER for lengths that are none, or hashes of another length. */
export function encodeDeltaHeader(header: DeltaHeader): Uint8Array<ArrayBuffer> {
  const { baseSizeBytes, imageSizeBytes, baseSha256, imageSha256 } = header;
  const areSizes = [baseSizeBytes, imageSizeBytes].every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!areSizes || baseSha256.length !== SHA256_BYTES || imageSha256.length !== SHA256_BYTES) {
    throw new UsageError("DELTA_HEADER", "not the header of a delta", { baseSizeBytes, imageSizeBytes });
  }
  const bytes = new Uint8Array(DELTA_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, SKIPPABLE_FRAME, true);
  view.setUint32(4, DELTA_HEADER_BYTES - 8, true);
  bytes.set(NAME, 8);
  view.setBigUint64(16, BigInt(baseSizeBytes), true);
  view.setBigUint64(24, BigInt(imageSizeBytes), true);
  bytes.set(baseSha256, 32);
  bytes.set(imageSha256, 64);
  return bytes;
}

/**
 * Reads the first `DELTA_HEADER_BYTES` octets of a delta; the hashes are copies.
 *
 * @throws {PeerError} DELTA_HEADER when they are not a whole header, or a length is beyond 2⁵³ − 1.
 */
export function decodeDeltaHeader(bytes: Uint8Array): DeltaHeader {
  if (bytes.length < DELTA_HEADER_BYTES || !isDelta(bytes)) throw notAHeader("not the header of a delta");
  const view = viewOf(bytes);
  if (view.getUint32(4, true) !== DELTA_HEADER_BYTES - 8) throw notAHeader("a header of another length");
  return {
    baseSizeBytes: sizeAt(view, 16),
    imageSizeBytes: sizeAt(view, 24),
    baseSha256: bytes.slice(32, 64),
    imageSha256: bytes.slice(64, 96),
  };
}

function sizeAt(view: DataView, offset: number): number {
  const size = Number(view.getBigUint64(offset, true));
  if (!Number.isSafeInteger(size)) throw notAHeader("an image of that length there is not");
  return size;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function notAHeader(message: string): PeerError {
  return new PeerError("DELTA_HEADER", message);
}
