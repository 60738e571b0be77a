/** The value of Block1 and Block2: which block, how large, whether more follow (RFC 7959 §2.2, RFC 8323 §6). */
import { PeerError, UsageError } from "../lib/errors.ts";
import { type CoapOption, encodeUint, optionUint } from "./options.ts";

export interface Block {
  /** 0 … 2²⁰ − 1, counted in blocks of `sizeBytes`. */
  readonly number: number;
  readonly more: boolean;
  /** 16, 32, 64, 128, 256, 512 or 1024. */
  readonly sizeBytes: number;
  /** Several blocks of 1024 octets in one message (BERT). Over reliable transports only. @see RFC 8323 §6 */
  readonly isBert?: true;
}

/** What may go to a peer and come from it in one message. */
export interface BlockLimits {
  /** Octets of a body: 16 … 1024, or a multiple of 1024 for a peer that takes several blocks at once (BERT). */
  readonly maxBytes: number;
  /** Whether the size exponent 7 means something here; over datagrams it is reserved. */
  readonly allowsBert: boolean;
}

export const MIN_BLOCK_BYTES = 16;
export const MAX_BLOCK_BYTES = 1024;

export const DATAGRAM_BLOCKS: BlockLimits = { maxBytes: MAX_BLOCK_BYTES, allowsBert: false };

/** Size exponent of BERT. @see RFC 8323 §6 */
const BERT = 7;
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
  const szx = block.isBert ? BERT : sizeExponent(block.sizeBytes);
  return { number: optionNumber, value: encodeUint(block.number * 16 + (block.more ? 8 : 0) + szx) };
}

/**
 * The Block1 or Block2 option of a message, or `undefined` without one.
 *
 * @param allowsBert Whether the message came over a reliable transport.
 * @throws {PeerError} `BLOCK_FORMAT` when it is longer than 3 octets, or uses the size exponent 7 where it is reserved.
 */
export function findBlock(options: readonly CoapOption[], optionNumber: number, allowsBert = false): Block | undefined {
  const value = optionUint(options, optionNumber);
  if (value === undefined) return undefined;
  const szx = value & 7;
  if ((szx === BERT && !allowsBert) || value > 0xff_ffff)
    throw new PeerError("BLOCK_FORMAT", "reserved block size exponent", { value });
  const number = value >>> 4;
  const more = (value & 8) !== 0;
  if (szx === BERT) return { number, more, sizeBytes: MAX_BLOCK_BYTES, isBert: true };
  return { number, more, sizeBytes: MIN_BLOCK_BYTES << szx };
}

/** Whether a message with this block has a payload of a length that it may have. @see RFC 7959 §2.2, RFC 8323 §6 */
export function hasBlockLength(block: Block, payloadBytes: number): boolean {
  if (!block.more) return block.isBert === true || payloadBytes <= block.sizeBytes;
  if (block.isBert) return payloadBytes > 0 && payloadBytes % block.sizeBytes === 0;
  return payloadBytes === block.sizeBytes;
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
