/** The receiving of one content into flash: chunks, parity, the solving, and every check there is before an image is believed. */
import { PeerError } from "../lib/errors.ts";
import { ChunkSet } from "./chunk-set.ts";
import type { ContentCipher } from "./content-cipher.ts";
import {
  type ContentProfile,
  type ContentProof,
  isBlockProven,
  isImageProven,
  type ProofContext,
} from "./content-proof.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import { ImageSlot } from "./image-slot.ts";
import { blockCountOf, blockOfSeq, seqsOfBlock } from "./manifest.ts";
import { repairRows } from "./repair-rows.ts";
import { ScratchStore } from "./scratch-store.ts";
import { DEFAULT_MAX_MISSING, StripedDecoder } from "./striped-decoder.ts";
import { erasePages, type WordFlash } from "./word-flash.ts";

/** Chunks that a power cut may cost: after so many, the bitmap is saved. */
export const CHUNKS_PER_SNAPSHOT = 64;

/** Blocks that may turn out forged before the reception is given up. */
export const MAX_BAD_BLOCKS = 16;

/** Solutions that may turn out wrong before parity is passed over: whoever forges it could go on for ever. */
export const MAX_BAD_SOLUTIONS = 2;

export interface ReceptionOptions {
  readonly profile: ContentProfile;
  readonly cipher: ContentCipher;
  readonly crypto: ZmeshCrypto;
  readonly slotFlash: WordFlash;
  readonly scratchFlash: WordFlash;
  /** Octets by which a payload is longer than its chunk. */
  readonly tagBytes: number;
  /** `false`: a plain receiver, which passes parity over. */
  readonly usesRepair: boolean;
  readonly maxMissing?: number;
}

/** What became of a message. `forged`: a block of chunks, or the parity, was not what its digest says, and is gone. */
export type Taken = "new" | "known" | "refused" | "forged";

export class Reception {
  readonly profile: ContentProfile;
  proof: ContentProof = {};
  readonly #options: ReceptionOptions;
  readonly #slot: ImageSlot;
  readonly #scratch: ScratchStore;
  #chunks: ChunkSet;
  #decoder: StripedDecoder;
  #unsavedCount = 0;
  #badBlockCount = 0;
  #badSolutionCount = 0;

  /** @throws {EnvironmentError} `SCRATCH_SIZE` */
  constructor(options: ReceptionOptions, start: "new" | "recovered") {
    this.#options = options;
    this.profile = options.profile;
    const { dataCount, chunkBytes } = options.profile;
    this.#slot = new ImageSlot({ flash: options.slotFlash, cipher: options.cipher, chunkBytes });
    this.#scratch = new ScratchStore({
      flash: options.scratchFlash,
      chunkCount: dataCount,
      payloadBytes: this.payloadBytes,
    });
    if (start === "new") {
      erasePages(options.slotFlash, 0, Math.min(options.slotFlash.sizeBytes, dataCount * chunkBytes));
      this.#scratch.format();
    }
    this.#chunks = start === "new" ? new ChunkSet(dataCount) : this.#scratch.recover();
    this.#decoder = this.#createDecoder();
  }

  get payloadBytes(): number {
    return this.profile.chunkBytes + this.#options.tagBytes;
  }

  get receivedCount(): number {
    return this.#chunks.presentCount;
  }

  get missingCount(): number {
    return this.#chunks.missingCount;
  }

  /** Packets that are still needed, whichever they are: parity if it is used, else chunks. */
  get deficit(): number {
    return this.#usesRepair ? this.#decoder.deficit : this.missingCount;
  }

  /** Whether so much was forged that nothing good will come of it. */
  get isHopeless(): boolean {
    return this.#badBlockCount > MAX_BAD_BLOCKS;
  }

  /** The most octets of RAM that the decoder's structures have taken. */
  get peakRamBytes(): number {
    return this.#decoder.peakRamBytes;
  }

  /** Chunks to ask for, at most `limit`, all within `span` of the first; with the parity that is there, all of them suffice. */
  wanted(limit: number, span: number): number[] {
    const found: number[] = [];
    for (const chunk of this.#usesRepair ? this.#decoder.wanted() : this.#chunks.missing()) {
      if (found.length === limit || chunk >= (found[0] ?? chunk) + span) break;
      found.push(chunk);
    }
    return found;
  }

  /** Takes the payload of Data message `chunk`, 1 … K. */
  takeData(chunk: number, payload: Uint8Array): Taken {
    if (payload.length !== this.payloadBytes) return "refused";
    if (this.#chunks.has(chunk)) return "known";
    const plain = this.#open(chunk, payload);
    if (plain === undefined) return "refused";
    this.#put(chunk, plain);
    const isGood = this.#checkBlockOf(chunk);
    this.#countUnsaved();
    return isGood ? "new" : "forged";
  }

  /** Takes parity chunk n, and solves when that was the last that was missing. */
  takeParity(n: number, payload: Uint8Array): Taken {
    if (!this.#usesRepair || payload.length !== this.payloadBytes) return "refused";
    return this.#decoder.addParity(n, payload) ? "new" : "known";
  }

  /**
   * Solves for what is missing if that is possible, believes it only when its digests do, and programs it.
   *
   * @returns `forged` when some of it was not what it should be: the parity is forgotten then.
   */
  repair(): Taken {
    if (!this.#usesRepair || !this.#decoder.isSolvable) return "known";
    const missing = [...this.#chunks.missing()];
    this.#stageSolution(missing.length);
    const staged = new Map(missing.map((chunk, place) => [chunk, place]));
    const good = this.#provenOf(missing, staged);
    // A plain image that travels with tags is open to see; read all before the first word changes what is missing.
    for (const chunk of good) {
      const plain = this.#open(chunk, this.#scratch.staged(staged.get(chunk) as number));
      if (plain) this.#put(chunk, plain);
    }
    if (good.length < missing.length) {
      this.#badSolutionCount += 1;
      this.#scratch.forgetParity();
      this.#decoder.chunkChanged();
    }
    this.save();
    return good.length < missing.length ? "forged" : "new";
  }

  /** Whether the image in the slot is the one that Begin, End and the manifest speak of. For a complete reception. */
  verify(): boolean {
    for (let block = 0; block < blockCountOf(this.profile.dataCount); block += 1) {
      if (!isBlockProven(this.#context, block, (chunk) => this.#slot.payload(chunk))) {
        this.#discardBlock(block);
        return false;
      }
    }
    return isImageProven(this.#context, (chunk) => this.#slot.plain(chunk));
  }

  /** Stores which chunks are there. */
  save(): void {
    this.#scratch.save(this.#chunks);
    this.#unsavedCount = 0;
  }

  get #context(): ProofContext {
    return { profile: this.profile, proof: this.proof, crypto: this.#options.crypto };
  }

  get #usesRepair(): boolean {
    return this.#options.usesRepair && this.#badSolutionCount < MAX_BAD_SOLUTIONS;
  }

  #createDecoder(): StripedDecoder {
    const scratch = this.#scratch;
    return new StripedDecoder({
      chunks: this.#chunks,
      rows: repairRows(this.profile.repairScheme, this.profile.dataCount),
      payloadBytes: this.payloadBytes,
      maxMissing: this.#options.maxMissing ?? DEFAULT_MAX_MISSING,
      store: {
        readChunkWord: (chunk, stripe, word) =>
          word.set(this.#slot.payload(chunk).subarray(8 * stripe, 8 * (stripe + 1))),
        get parityCount() {
          return scratch.parityCount;
        },
        parityRow: (place) => scratch.parityRow(place),
        readParityWord: (place, stripe, word) => scratch.readParityWord(place, stripe, word),
        appendParity: (n, payload) => scratch.appendParity(n, payload),
      },
    });
  }

  #open(chunk: number, payload: Uint8Array): Uint8Array | undefined {
    try {
      return this.#options.cipher.open(chunk, payload);
    } catch (error) {
      if (error instanceof PeerError) return undefined;
      throw error;
    }
  }

  /** Stores a chunk; what an earlier, torn or forged one has left in its place goes first, with its pages. */
  #put(chunk: number, plain: Uint8Array): void {
    if (!this.#slot.store(chunk, plain)) {
      this.#discard(chunk, chunk);
      this.#slot.store(chunk, plain);
    }
    if (this.#chunks.add(chunk)) this.#decoder.chunkChanged();
  }

  #discard(first: number, last: number): void {
    const range = this.#slot.neighbours(first, last);
    for (let chunk = range.first; chunk <= Math.min(range.last, this.profile.dataCount); chunk += 1)
      this.#chunks.delete(chunk);
    this.#decoder.chunkChanged();
    // Before the erasing: after a power cut nothing may be believed that is not there.
    this.save();
    this.#slot.discard(first, last);
  }

  #discardBlock(block: number): void {
    this.#badBlockCount += 1;
    this.#discard(...seqsOfBlock(block, this.profile.dataCount));
  }

  #countUnsaved(): void {
    this.#unsavedCount += 1;
    if (this.#unsavedCount >= CHUNKS_PER_SNAPSHOT || this.missingCount === 0) this.save();
  }

  #checkBlockOf(chunk: number): boolean {
    const block = blockOfSeq(chunk);
    if (this.proof.blockDigests === undefined) return true;
    const [first, last] = seqsOfBlock(block, this.profile.dataCount);
    if ((this.#chunks.nextMissing(first) ?? Number.POSITIVE_INFINITY) <= last) return true;
    if (isBlockProven(this.#context, block, (each) => this.#slot.payload(each))) return true;
    this.#discardBlock(block);
    return false;
  }

  #stageSolution(count: number): void {
    this.#scratch.beginStaging(count);
    let place = 0;
    this.#decoder.solve((_, stripe, word) => {
      this.#scratch.stage(place, stripe, word);
      place = (place + 1) % count;
    });
  }

  /** The solved chunks that may be believed. */
  #provenOf(missing: readonly number[], staged: ReadonlyMap<number, number>): readonly number[] {
    const payloadOf = (chunk: number): Uint8Array => {
      const place = staged.get(chunk);
      return place === undefined ? this.#slot.payload(chunk) : this.#scratch.staged(place);
    };
    if (this.proof.blockDigests) {
      const good = new Map<number, boolean>();
      return missing.filter((chunk) => {
        const block = blockOfSeq(chunk);
        const isGood = good.get(block) ?? isBlockProven(this.#context, block, payloadOf);
        good.set(block, isGood);
        return isGood;
      });
    }
    const opened = missing.filter((chunk) => this.#open(chunk, payloadOf(chunk)) !== undefined);
    if (opened.length < missing.length || this.proof.imageDigest === undefined) return opened;
    const plainOf = (chunk: number) => this.#options.cipher.open(chunk, payloadOf(chunk));
    return isImageProven(this.#context, plainOf) ? missing : [];
  }
}
