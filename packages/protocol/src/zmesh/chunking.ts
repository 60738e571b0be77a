/** How an image is cut: MTU, chunk, number of packets. Source: Z-Mesh software update, "Content Name", "Update Data message". */
import { PeerError, UsageError } from "../lib/errors.ts";

/** Values of Enc. Type on the wire. */
export const ENC_TYPE = { none: 0, ctr: 1, ccm: 2 } as const;

export type EncType = (typeof ENC_TYPE)[keyof typeof ENC_TYPE];

/** Octets that each content message grows by. */
export const CONTENT_TAG_BYTES = 8;
/** End is the longest message that is not data, and has to fit. */
export const SMALLEST_MTU_BYTES = 40;
export const LARGEST_MTU_BYTES = 1024;
/** Outside, some transceiver of the family either has no buffer for a frame or wastes its airtime on headers. */
export const ADVISED_MTU_BYTES = { from: 48, to: 104 } as const;
export const DEFAULT_MTU_BYTES = 48;
/** SEQ has 24 bits on air, and Begin, End and one repair need a number too. */
export const LARGEST_DATA_COUNT = 2 ** 24 - 3;
/** Erased flash: what the last chunk is filled up with. */
export const PADDING = 0xff;

/** Chunk sizes: multiples of the cipher's block, or as much as the MTU holds in double words. */
export type Alignment = 16 | 8;

/** Octets by which a message grows when it is encrypted. */
export const tagBytesOf = (encType: EncType): number => (encType === ENC_TYPE.ccm ? CONTENT_TAG_BYTES : 0);

/** Whether `value` is an Enc. Type. */
export function isEncType(value: number): value is EncType {
  return value === ENC_TYPE.none || value === ENC_TYPE.ctr || value === ENC_TYPE.ccm;
}

/** Whether a schedule may carry this MTU: 40 … 1024, with Enc. Type 2 48 … 1024. */
export function isMtu(mtuBytes: number, encType: EncType): boolean {
  const smallest = SMALLEST_MTU_BYTES + tagBytesOf(encType);
  return Number.isInteger(mtuBytes) && mtuBytes >= smallest && mtuBytes <= LARGEST_MTU_BYTES;
}

/** Whether an operator should look at this valid MTU: it is outside 48 … 104. */
export const isUnusualMtu = (mtuBytes: number): boolean =>
  mtuBytes < ADVISED_MTU_BYTES.from || mtuBytes > ADVISED_MTU_BYTES.to;

/**
 * Octets of the image in one Data message, a multiple of 8.
 *
 * @param alignment Ignored with Enc. Type 2, whose chunk is ⌊(MTU − 8) / 8⌋ × 8.
 * @throws {UsageError} `MTU_RANGE`
 */
export function chunkBytesFor(mtuBytes: number, encType: EncType, alignment: Alignment = 16): number {
  if (!isMtu(mtuBytes, encType)) {
    const least = SMALLEST_MTU_BYTES + tagBytesOf(encType);
    const range = `${least} … ${LARGEST_MTU_BYTES}${least > SMALLEST_MTU_BYTES ? " with CCM" : ""}`;
    throw new UsageError("MTU_RANGE", `an MTU is ${range} bytes, not ${mtuBytes}`, { mtuBytes, encType });
  }
  if (encType === ENC_TYPE.ccm) return Math.floor((mtuBytes - CONTENT_TAG_BYTES) / 8) * 8;
  return Math.floor(mtuBytes / alignment) * alignment;
}

/** The chunks a sender may have chosen for this MTU, the larger first: one, or two that differ by 8. @throws {UsageError} `MTU_RANGE` */
export function possibleChunkBytes(mtuBytes: number, encType: EncType): number[] {
  return [...new Set([chunkBytesFor(mtuBytes, encType, 8), chunkBytesFor(mtuBytes, encType, 16)])];
}

/** Data messages of an image: 0 for none. @param lengthBytes FW Length. */
export const dataCountOf = (lengthBytes: number, chunkBytes: number): number => Math.ceil(lengthBytes / chunkBytes);

/**
 * The chunk by which FW Length makes this many packets.
 *
 * @param possible In the order of preference; after the first Data message there is only one left.
 * @throws {PeerError} `NUM_PACKETS` when none does, or there are more packets than SEQ can number.
 */
export function chunkBytesOf(lengthBytes: number, dataCount: number, possible: readonly number[]): number {
  const chunkBytes = possible.find((candidate) => dataCountOf(lengthBytes, candidate) === dataCount);
  if (chunkBytes === undefined || lengthBytes === 0 || dataCount > LARGEST_DATA_COUNT)
    throw new PeerError("NUM_PACKETS", "FW Length does not make this many packets", {
      lengthBytes,
      dataCount,
      possible,
    });
  return chunkBytes;
}

/** The chunk that SEQ carries, a copy filled up with 0xFF. @param seq 1 … K. */
export function chunkAt(image: Uint8Array, chunkBytes: number, seq: number): Uint8Array<ArrayBuffer> {
  const chunk = new Uint8Array(chunkBytes).fill(PADDING);
  chunk.set(image.subarray((seq - 1) * chunkBytes, seq * chunkBytes));
  return chunk;
}

/** Where in the image the chunk of SEQ belongs. @param seq 1 … K. */
export const offsetOf = (seq: number, chunkBytes: number): number => (seq - 1) * chunkBytes;

/** What a SEQ stands for in a content of `dataCount` chunks. */
export type SeqKind = "begin" | "data" | "end" | "repair";

/** @param seq 0 … 2²⁴ − 1; on a larger number there is no content, and it is "past the end". @throws {PeerError} `SEQ_RANGE` */
export function kindOfSeq(seq: number, dataCount: number): SeqKind {
  if (!Number.isInteger(seq) || seq < 0 || seq >= 2 ** 24) throw new PeerError("SEQ_RANGE", "SEQ has 24 bits", { seq });
  if (seq === 0) return "begin";
  if (seq <= dataCount) return "data";
  return seq === dataCount + 1 ? "end" : "repair";
}

/** SEQ of parity chunk n. @param n From 1 on. */
export const seqOfRepair = (dataCount: number, n: number): number => dataCount + 1 + n;

/** The n of a repair's SEQ. */
export const repairOfSeq = (dataCount: number, seq: number): number => seq - dataCount - 1;

/** The largest n that SEQ has a number for. */
export const largestRepair = (dataCount: number): number => 2 ** 24 - 2 - dataCount;
