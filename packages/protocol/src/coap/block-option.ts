/** The value of Block1 and Block2: which block, how large, whether more follow (RFC 7959 §2.2). */
import { PeerError, UsageError } from "../lib/errors.ts";
import { type CoapOption, encodeUint, optionUint } from "./options.ts";

export interface Block {
  /** 0 … 2²⁰ − 1, counted in blocks of `sizeBytes`. */
  readonly number: number;
  readonly more: boolean;
  /** 16, 32, 64, 128, 256, 512 or 1024. */
  readonly sizeBytes: number;
}

export const MIN_BLOCK_BYTES = 16;
export const MAX_BLOCK_BYTES = 1024;
/** Largest block number; with blocks of 1024 octets that is a body of 1 GiB, with 16 octets 16 MiB. */
export const MAX_BLOCK_NUMBER = 0xf_ffff;

/** Where the block begins in the body, in octets. */
export function blockOffset(block: Block): number {
  return block.number * block.sizeBytes;
}

/** @throws {UsageError} `BLOCK_SIZE`, `BLOCK_NUMBER` */
export function blockOption(optionNumber: number, block: Block): CoapOption {
  if (block.number > MAX_BLOCK_NUMBER)
    throw new UsageError("BLOCK_NUMBER", "the body has more blocks of this size than can be numbered", { ...block });
  const szx = sizeExponent(block.sizeBytes);
  return { number: optionNumber, value: encodeUint(block.number * 16 + (block.more ? 8 : 0) + szx) };
}

/**
 * The Block1 or Block2 option of a message, or `undefined` without one.
 *
 * @throws {PeerError} `BLOCK_FORMAT` when it is longer than 3 octets or uses the reserved size exponent 7.
 */
export function findBlock(options: readonly CoapOption[], optionNumber: number): Block | undefined {
  const value = optionUint(options, optionNumber);
  if (value === undefined) return undefined;
  const szx = value & 7;
  if (szx === 7 || value > 0xff_ffff) throw new PeerError("BLOCK_FORMAT", "reserved block size exponent", { value });
  return { number: value >>> 4, more: (value & 8) !== 0, sizeBytes: MIN_BLOCK_BYTES << szx };
}

/** The largest block size that is not above `limitBytes`, at least 16. */
export function blockSizeWithin(limitBytes: number): number {
  let sizeBytes = MAX_BLOCK_BYTES;
  while (sizeBytes > limitBytes && sizeBytes > MIN_BLOCK_BYTES) sizeBytes >>= 1;
  return sizeBytes;
}

function sizeExponent(sizeBytes: number): number {
  const szx = 27 - Math.clz32(sizeBytes);
  if (szx < 0 || szx > 6 || MIN_BLOCK_BYTES << szx !== sizeBytes)
    throw new UsageError("BLOCK_SIZE", "block size must be a power of two from 16 to 1024 octets", { sizeBytes });
  return szx;
}
