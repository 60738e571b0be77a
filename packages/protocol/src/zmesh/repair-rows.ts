/**
 * Which chunks a parity chunk covers: the two row schemes that End names.
 *
 * Nothing of a row travels but its number n; both ends compute it. All arithmetic is on unsigned integers of 32 bits
 * (one quotient of 64), so that a device without a floating point unit gets the same rows.
 */
import { UsageError } from "../lib/errors.ts";
import { LARGEST_DATA_COUNT } from "./chunking.ts";
import { REPAIR_SCHEME, type RepairScheme } from "./messages.ts";

/** Says of each chunk 1 … K whether the row covers it. */
export type RepairRow = (chunk: number) => boolean;

/** The rows of one content. The row that was asked for last is valid until the next is asked for. */
export type RepairRows = (n: number) => RepairRow;

/**
 * The rows of a scheme for a content of `chunkCount` chunks.
 *
 * @throws {UsageError} `CHUNK_COUNT` when it is not 1 … 2²⁴ − 3.
 */
export function repairRows(scheme: RepairScheme, chunkCount: number): RepairRows {
  if (!Number.isInteger(chunkCount) || chunkCount < 1 || chunkCount > LARGEST_DATA_COUNT)
    throw new UsageError("CHUNK_COUNT", "a content has 1 to 2^24 - 3 chunks", { chunkCount });
  return scheme === REPAIR_SCHEME.hashedRows ? hashedRow : ts004Rows(chunkCount);
}

/** Row n of the hashed scheme: chunk i belongs to it when `rowHash(n, i) < rowThreshold(n)`. Random access, no state. */
export function hashedRow(n: number): RepairRow {
  const threshold = rowThreshold(n);
  const seed = mix(n);
  return (chunk) => mix((seed + Math.imul(chunk, CHUNK_STEP)) | 0) < threshold;
}

/** The hash of row n, 1 …, and chunk i, 1 … K: `mix(mix(n) + i × 0x9E3779B1)` modulo 2³². */
export function rowHash(n: number, chunk: number): number {
  return mix((mix(n) + Math.imul(chunk, CHUNK_STEP)) | 0);
}

/**
 * How dense row n is, as a share of 2³²: `min(2³¹, ⌊(ln₁₂(n) + 4 × 2¹²) × 2²⁰ / n⌋)`, ln₁₂ being the natural logarithm in
 * units of 2⁻¹² as `naturalLog` computes it. A receiver that still needs row n misses about n chunks, and (ln n + 4) / n
 * is what rows over n columns need to be independent; so rows get sparser as they go, and cost less to make and to use.
 */
export function rowThreshold(n: number): number {
  return Math.min(HALF, Math.floor(((naturalLog(n) + 4 * ONE) * 2 ** 20) / n));
}

/**
 * ln n in units of 2⁻¹², n = 1 … 2²⁴, off by less than 5 units: the binary logarithm by 12 squarings of a mantissa of 16 bits,
 * times ⌊ln 2 × 2¹²⌋.
 */
export function naturalLog(n: number): number {
  const exponent = 31 - Math.clz32(n);
  let mantissa = exponent > 15 ? n >>> (exponent - 15) : n << (15 - exponent);
  let binary = exponent;
  for (let i = 0; i < 12; i += 1) {
    mantissa = Math.floor((mantissa * mantissa) / 2 ** 15);
    const bit = mantissa >>> 16;
    mantissa >>>= bit;
    binary = binary * 2 + bit;
  }
  return Math.floor((binary * LN_2) / ONE);
}

const ONE = 2 ** 12;
const LN_2 = 2839;
const HALF = 2 ** 31;
const CHUNK_STEP = 0x9e3779b1 | 0;

/** The finaliser of MurmurHash3 (32 bits): a bijection in which every input bit flips every output bit half the time. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * The matrix of LoRaWAN TS004-1.0.0 (annex, `matrix_line`): ⌊K / 2⌋ draws of a 23-bit PRBS, repeats and all. Row n here
 * is coded fragment K + n there. Version 2.0.0 draws until ⌊K / 2⌋ *different* chunks are found, and is another scheme.
 */
function ts004Rows(chunkCount: number): RepairRows {
  const members = new Uint8Array((chunkCount + 7) >>> 3);
  return (n) => {
    members.fill(0);
    const modulus = chunkCount + (isPowerOfTwo(chunkCount) ? 1 : 0);
    let state = 1 + 1001 * n;
    for (let draws = chunkCount >>> 1; draws > 0; draws -= 1) {
      let column = chunkCount;
      while (column >= chunkCount) {
        state = prbs23(state);
        column = state % modulus;
      }
      members[column >>> 3] = (members[column >>> 3] as number) | (1 << (column & 7));
    }
    return (chunk) => (((members[(chunk - 1) >>> 3] as number) >>> ((chunk - 1) & 7)) & 1) === 1;
  };
}

/** One step of the 23-bit generator of TS004: x²³ + x¹⁸ + 1, shifted right. */
export function prbs23(state: number): number {
  return (state >>> 1) + (((state ^ (state >>> 5)) & 1) << 22);
}

const isPowerOfTwo = (value: number): boolean => (value & (value - 1)) === 0;
