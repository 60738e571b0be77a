/**
 * Puts an image together from whatever messages of its content there are, in memory: for tools and gateways. A constrained
 * device has its own receiver, which holds no chunk in RAM.
 */
import { concat, equalBytes } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { ChunkSet } from "./chunk-set.ts";
import { chunkBytesOf, kindOfSeq, repairOfSeq, tagBytesOf } from "./chunking.ts";
import { ContentCipher, type ContentKeys } from "./content-cipher.ts";
import { crc32 } from "./crc32.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import { type Begin, decodeBegin, decodeEnd, type End, IMAGE_DIGEST_BYTES, REPAIR_SCHEME } from "./messages.ts";
import { Refusals } from "./refusals.ts";
import { repairRows } from "./repair-rows.ts";
import { type DecoderStore, STRIPE_BYTES, StripedDecoder } from "./striped-decoder.ts";

/** Missing chunks for which parity is tried: 16 MB of bits. */
export const LARGEST_ASSEMBLY_GAP = 16_384;

/** One message as it travelled. Begin is SEQ 0; which SEQ is End, only Begin or End itself can say. */
export interface HeardMessage {
  readonly seq: number;
  readonly payload: Uint8Array;
  /** Set on an End whose content has no Begin. */
  readonly isEnd?: boolean;
}

export interface AssembledImage {
  readonly bytes: Uint8Array;
  /** Whether the digest in End vouches for it; without End, only its CRC was checked. */
  readonly isDigestChecked: boolean;
  readonly dataCount: number;
  /** Data messages that parity stood in for. */
  readonly repairedCount: number;
}

export class ContentAssembly {
  /** Messages that were refused, by code. */
  readonly refusals = new Refusals();
  readonly #cipher: ContentCipher;
  readonly #keys: ContentKeys;
  readonly #crypto: ZmeshCrypto;

  constructor(keys: ContentKeys, crypto: ZmeshCrypto) {
    this.#keys = keys;
    this.#crypto = crypto;
    this.#cipher = new ContentCipher(keys, crypto);
  }

  /**
   * The image. Messages may come in any order and more than once; of two with one SEQ the first counts.
   *
   * @throws {PeerError} `CONTENT_UNKNOWN` without Begin and End · `NUM_PACKETS` when its numbers contradict each other, as
   *   they do under a wrong key · `CONTENT_INCOMPLETE` · `CONTENT_CRC`, `CONTENT_DIGEST` when the image is another.
   */
  assemble(messages: readonly HeardMessage[]): AssembledImage {
    const { begin, end } = this.#findFrame(messages);
    const { dataCount } = begin;
    const { data, parity, payloadBytes } = this.#sort(messages, dataCount);
    if (payloadBytes === 0) throw incomplete(dataCount, dataCount);
    chunkBytesOf(begin.lengthBytes, dataCount, [payloadBytes - tagBytesOf(this.#keys.encType)]);
    const receivedCount = data.size;
    const rows = repairRows(end?.repairScheme ?? REPAIR_SCHEME.hashedRows, dataCount);
    if (receivedCount < dataCount) repair(data, { dataCount, payloadBytes, parity, rows });
    const chunks: Uint8Array[] = [];
    for (let seq = 1; seq <= dataCount; seq += 1)
      chunks.push(this.#cipher.open(seq, data.get(seq) ?? new Uint8Array(0)));
    const bytes = concat(chunks).subarray(0, begin.lengthBytes);
    if (crc32(bytes) !== begin.crc32) throw new PeerError("CONTENT_CRC", "the image is not the one that was announced");
    const digest = this.#crypto.sha256(bytes).subarray(0, IMAGE_DIGEST_BYTES);
    if (end && !equalBytes(end.imageDigest, digest))
      throw new PeerError("CONTENT_DIGEST", "the image is not the one that was announced");
    return { bytes, isDigestChecked: end !== undefined, dataCount, repairedCount: dataCount - receivedCount };
  }

  /** Begin, and End if it is there; the first good one of each. */
  #findFrame(messages: readonly HeardMessage[]): { begin: Begin; end: End | undefined } {
    const open = <Found>(message: HeardMessage, decode: (bytes: Uint8Array) => Found) =>
      this.refusals.guard(() => decode(this.#cipher.open(message.seq, message.payload)));
    let begin: Begin | undefined;
    for (const message of messages) if (message.seq === 0) begin ??= open(message, decodeBegin);
    let end: End | undefined;
    for (const message of messages) {
      if (message.isEnd === true || (begin !== undefined && message.seq === begin.dataCount + 1))
        end ??= open(message, (bytes) => endAt(decodeEnd(bytes), message.seq));
    }
    const found = begin ?? end;
    if (!found)
      throw new PeerError("CONTENT_UNKNOWN", "there is no good Begin and no good End: messages or keys are missing");
    if (begin && end && (begin.lengthBytes !== end.lengthBytes || begin.crc32 !== end.crc32))
      throw new PeerError("NUM_PACKETS", "Begin and End contradict each other", { begin, end });
    return { begin: found, end };
  }

  /** The payloads by SEQ and by n; those of the length that most have, with Enc. Type 2 only genuine ones. */
  #sort(messages: readonly HeardMessage[], dataCount: number): Sorted {
    const isChunk = ({ seq }: HeardMessage) => seq > 0 && seq !== dataCount + 1;
    const chunks = messages.filter((message) => isChunk(message) && message.isEnd !== true);
    const payloadBytes = commonLength(chunks);
    const sorted: Sorted = { data: new Map(), parity: new Map(), payloadBytes };
    for (const { seq, payload } of chunks) {
      this.refusals.guard(() => {
        const isData = kindOfSeq(seq, dataCount) === "data";
        if (payload.length !== payloadBytes)
          throw new PeerError("CONTENT_LENGTH", "another length than the others", { seq, sizeBytes: payload.length });
        if (isData) this.#cipher.open(seq, payload);
        const [target, key] = isData ? [sorted.data, seq] : [sorted.parity, repairOfSeq(dataCount, seq)];
        const earlier = target.get(key);
        if (earlier && !equalBytes(earlier, payload))
          throw new PeerError("CONTENT_CONFLICT", "another came first", { seq });
        if (!earlier) target.set(key, payload);
      });
    }
    return sorted;
  }
}

interface Sorted {
  /** By SEQ. */
  readonly data: Map<number, Uint8Array>;
  /** By n. */
  readonly parity: Map<number, Uint8Array>;
  readonly payloadBytes: number;
}

function endAt(end: End, seq: number): End {
  if (end.dataCount + 1 !== seq) throw new PeerError("NUM_PACKETS", "End is not behind its packets", { seq, ...end });
  return end;
}

/** The length that most have; 0 when there are none. */
function commonLength(messages: readonly HeardMessage[]): number {
  const counts = new Map<number, number>();
  for (const { payload } of messages) counts.set(payload.length, (counts.get(payload.length) ?? 0) + 1);
  let common = 0;
  for (const [length, count] of counts) if (count > (counts.get(common) ?? 0)) common = length;
  return common;
}

interface Repair extends Pick<Sorted, "parity" | "payloadBytes"> {
  readonly dataCount: number;
  readonly rows: ReturnType<typeof repairRows>;
}

/** Adds what parity gives to `data`. @throws {PeerError} `CONTENT_INCOMPLETE` */
function repair(data: Map<number, Uint8Array>, { dataCount, payloadBytes, parity, rows }: Repair): void {
  const chunks = new ChunkSet(dataCount);
  for (const seq of data.keys()) chunks.add(seq);
  const store = new MemoryStore(data);
  const decoder = new StripedDecoder({ chunks, rows, store, payloadBytes, maxMissing: LARGEST_ASSEMBLY_GAP });
  const { missingCount } = chunks;
  if (missingCount <= LARGEST_ASSEMBLY_GAP) for (const [n, payload] of parity) decoder.addParity(n, payload);
  if (!decoder.isSolvable) throw incomplete(missingCount, dataCount);
  const solved = new Map<number, Uint8Array>();
  decoder.solve((chunk, stripe, word) => {
    const payload = solved.get(chunk) ?? new Uint8Array(payloadBytes);
    payload.set(word, stripe * STRIPE_BYTES);
    solved.set(chunk, payload);
  });
  for (const [seq, payload] of solved) data.set(seq, payload);
}

function incomplete(missingCount: number, dataCount: number): PeerError {
  const what = `${missingCount} of ${dataCount} packets are missing, and parity does not suffice`;
  return new PeerError("CONTENT_INCOMPLETE", what, { missingCount, dataCount });
}

/** The decoder's flash, in memory. */
class MemoryStore implements DecoderStore {
  readonly #data: ReadonlyMap<number, Uint8Array>;
  readonly #parity: { readonly n: number; readonly payload: Uint8Array }[] = [];

  constructor(data: ReadonlyMap<number, Uint8Array>) {
    this.#data = data;
  }

  get parityCount(): number {
    return this.#parity.length;
  }

  readChunkWord(chunk: number, stripe: number, word: Uint8Array): void {
    word.set(stripeOf(this.#data.get(chunk), stripe));
  }

  parityRow(place: number): number {
    return this.#parity[place]?.n ?? 0;
  }

  readParityWord(place: number, stripe: number, word: Uint8Array): void {
    word.set(stripeOf(this.#parity[place]?.payload, stripe));
  }

  appendParity(n: number, payload: Uint8Array): boolean {
    this.#parity.push({ n, payload });
    return true;
  }
}

function stripeOf(payload: Uint8Array | undefined, stripe: number): Uint8Array {
  return (payload ?? new Uint8Array(0)).subarray(stripe * STRIPE_BYTES, (stripe + 1) * STRIPE_BYTES);
}
