/**
 * Asking for content: by its FSEQ one packet, or by its payload a range, first SEQ (3) ‖ bitmap (1 … 32).
 *
 * Bit 7 of the bitmap's first octet is the first SEQ, bit 6 the next, and so on; 1 = wanted.
 * Source: Z-Mesh transport layer, "Interest"; profile 1.
 */
import { PeerError, UsageError } from "../lib/errors.ts";
import { FieldWriter, readUint } from "./fields.ts";
import type { Frame } from "./frame.ts";

export const LARGEST_BITMAP_BYTES = 32;
/** Packets that one range can span. */
export const LARGEST_RANGE = 8 * LARGEST_BITMAP_BYTES;

/** What goes into a frame of kind `interest`. */
export interface InterestFields {
  readonly fseq: number;
  readonly payload: Uint8Array;
}

/** Asks for one packet. @param seq 0 … 2²⁴ − 1. */
export const encodeInterest = (seq: number): InterestFields => ({ fseq: seq, payload: new Uint8Array(0) });

/**
 * Asks for up to 256 packets with one frame.
 *
 * @param seqs At least one; all within 256 of the lowest. Order and repetition say nothing.
 * @param fseq A number of the asking device's own, another one for each question: relays drop what they have seen.
 * @throws {UsageError} `INTEREST_RANGE`, `ZMESH_FIELD`
 */
export function encodeRangeInterest(seqs: readonly number[], fseq: number): InterestFields {
  const [first, last] = [Math.min(...seqs), Math.max(...seqs)];
  const spanBits = last - first + 1;
  if (seqs.length === 0 || spanBits > LARGEST_RANGE)
    throw new UsageError("INTEREST_RANGE", "one range spans 1 to 256 packets", { first, last });
  const bitmap = new Uint8Array(Math.ceil(spanBits / 8));
  for (const seq of seqs) {
    const bit = seq - first;
    bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  const payload = new FieldWriter(3 + bitmap.length)
    .uint("SEQ", first, 3)
    .octets("bitmap", bitmap, bitmap.length).bytes;
  return { fseq, payload };
}

/**
 * The packets a frame of kind `interest` asks for, rising; at least one, at most 256.
 *
 * @throws {PeerError} `INTEREST_LENGTH` when the payload is no range; `INTEREST_EMPTY` when no bit is set; `SEQ_RANGE`
 *   when one asks for more than SEQ can number.
 */
export function decodeInterest({ fseq, payload }: Pick<Frame, "fseq" | "payload">): number[] {
  if (payload.length === 0) return [fseq];
  const bitmap = payload.subarray(3);
  if (bitmap.length === 0 || bitmap.length > LARGEST_BITMAP_BYTES)
    throw new PeerError("INTEREST_LENGTH", "a range has a SEQ and 1 to 32 bytes", { sizeBytes: payload.length });
  const first = readUint(payload, 0, 3);
  const seqs: number[] = [];
  for (let bit = 0; bit < 8 * bitmap.length; bit += 1) {
    if (((bitmap[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) seqs.push(first + bit);
  }
  if (seqs.length === 0) throw new PeerError("INTEREST_EMPTY", "asks for nothing", { first });
  if (first + LARGEST_RANGE > 2 ** 24 && (seqs.at(-1) ?? 0) >= 2 ** 24)
    throw new PeerError("SEQ_RANGE", "SEQ has 24 bits", { first });
  return seqs;
}
