/** Which part of an answer goes into one response (RFC 7959 §2.4, RFC 8323 §6): worked out from the request alone, nothing is kept. */
import { type Block, type BlockLimits, blockOffset, blockOption, findBlock, MAX_BLOCK_BYTES } from "./block-option.ts";
import { CODE } from "./codes.ts";
import { CoapRefusal, type CoapRequest, createResponse } from "./exchange.ts";
import { type CoapOption, OPTION, uintOption } from "./options.ts";

/** A part of a body and the options that say which one it is. */
export interface AnswerBlock {
  readonly offset: number;
  readonly length: number;
  readonly options: readonly CoapOption[];
}

/**
 * The part of a body of `sizeBytes` that answers `request`; `undefined` when the whole body fits and no block was asked for.
 * A client may ask for smaller blocks than the limit, not for larger ones.
 *
 * @throws {CoapRefusal} 4.00 for the reserved size exponent 7, 4.02 for a block beyond the end.
 * @see RFC 7959 §2.2, §2.3, §2.4, §4 (Size2)
 */
export function answerBlock(request: CoapRequest, sizeBytes: number, limits: BlockLimits): AnswerBlock | undefined {
  const { maxBytes, allowsBert } = limits;
  const asked = askedBlock(request, allowsBert);
  if (asked === undefined && sizeBytes <= maxBytes) return undefined;
  const partBytes = asked === undefined || asked.isBert ? maxBytes : Math.min(asked.sizeBytes, maxBytes);
  const blockBytes = Math.min(partBytes, MAX_BLOCK_BYTES);
  const offset = asked ? blockOffset(asked) : 0;
  if (offset > 0 && offset >= sizeBytes) throw new CoapRefusal(createResponse(CODE.badOption));
  const length = Math.min(partBytes, sizeBytes - offset);
  const block: Block = { number: offset / blockBytes, more: offset + length < sizeBytes, sizeBytes: blockBytes };
  const options = [blockOption(OPTION.block2, partBytes > MAX_BLOCK_BYTES ? { ...block, isBert: true } : block)];
  if (offset === 0) options.push(uintOption(OPTION.size2, sizeBytes));
  return { offset, length, options };
}

function askedBlock(request: CoapRequest, allowsBert: boolean): Block | undefined {
  try {
    return findBlock(request.options, OPTION.block2, allowsBert);
  } catch (cause) {
    throw new CoapRefusal(createResponse(CODE.badRequest), `unreadable Block2 option: ${cause}`);
  }
}
