/**
 * What a receiver keeps beside the image, in flash of its own: snapshots of the bitmap, parity as it came, and what a solution
 * gave before it is trusted.
 *
 * Layout: two journals of snapshots, then parity records, then the staging area; each begins with a page. A record's header
 * word is programmed last, so that a power cut leaves it blank and its place is passed over from then on. Snapshot: header
 * (1, number 3, CRC32 4), bitmap. Parity: header (2, n 3, FF…), payload.
 */
import { EnvironmentError } from "../lib/errors.ts";
import { ChunkSet } from "./chunk-set.ts";
import { crc32 } from "./crc32.ts";
import { FieldWriter, readUint } from "./fields.ts";
import { ERASED, erasePages, FLASH_WORD_BYTES, isErased, programWord, type WordFlash } from "./word-flash.ts";

const SNAPSHOT = 1;
const PARITY = 2;
/** Snapshots of one journal before the other one is erased. */
const SNAPSHOTS_PER_JOURNAL = 8;

export interface ScratchOptions {
  readonly flash: WordFlash;
  readonly chunkCount: number;
  /** Octets of a payload as it travels, a multiple of 8. */
  readonly payloadBytes: number;
}

/** Octets of scratch flash for `records` parity chunks and as many solved ones. */
export function scratchBytesFor({ flash, chunkCount, payloadBytes }: ScratchOptions, records: number): number {
  const pages = (bytes: number) => Math.ceil(bytes / flash.pageBytes) * flash.pageBytes;
  return 2 * pages(SNAPSHOTS_PER_JOURNAL * snapshotBytes(chunkCount)) + pages(records * (8 + payloadBytes)) * 2;
}

interface Snapshot {
  readonly number: number;
  readonly bits: Uint8Array;
  /** The place after all that is used of its journal. */
  readonly nextAt: number;
}

export class ScratchStore {
  readonly #flash: WordFlash;
  readonly #chunkCount: number;
  readonly #payloadBytes: number;
  readonly #snapshotBytes: number;
  readonly #journalBytes: number;
  readonly #areaBytes: number;
  /** Where the next snapshot goes, and its number. */
  #snapshotAt = 0;
  #snapshotNumber = 0;
  /** Offsets of the parity records that are whole; `#parityEnd` is the first place that is blank. */
  #parity: number[] = [];
  #parityEnd: number;

  /** @throws {EnvironmentError} `SCRATCH_SIZE` when not even one parity chunk fits. */
  constructor(options: ScratchOptions) {
    const { flash, chunkCount, payloadBytes } = options;
    this.#flash = flash;
    this.#chunkCount = chunkCount;
    this.#payloadBytes = payloadBytes;
    this.#snapshotBytes = snapshotBytes(chunkCount);
    const pageOf = (bytes: number) => Math.ceil(bytes / flash.pageBytes) * flash.pageBytes;
    this.#journalBytes = pageOf(SNAPSHOTS_PER_JOURNAL * this.#snapshotBytes);
    const restPages = Math.floor((flash.sizeBytes - 2 * this.#journalBytes) / flash.pageBytes);
    this.#areaBytes = Math.floor(restPages / 2) * flash.pageBytes;
    if (this.#areaBytes < 8 + payloadBytes)
      throw new EnvironmentError("SCRATCH_SIZE", "the scratch flash is too small", { sizeBytes: flash.sizeBytes });
    this.#parityEnd = this.#parityFrom;
  }

  /** Makes everything blank. */
  format(): void {
    erasePages(this.#flash, 0, this.#flash.sizeBytes);
    this.#snapshotAt = 0;
    this.#snapshotNumber = 0;
    this.#parity = [];
    this.#parityEnd = this.#parityFrom;
  }

  /** Finds what an earlier run left; the chunks of the last whole snapshot. */
  recover(): ChunkSet {
    this.#recoverParity();
    let bits: Uint8Array | undefined;
    for (const journal of [0, this.#journalBytes]) {
      const found = this.#lastSnapshot(journal);
      // A journal that was being erased has none, or older ones: it is the next to be erased.
      if (found === undefined || found.number <= this.#snapshotNumber) continue;
      this.#snapshotAt = found.nextAt;
      this.#snapshotNumber = found.number;
      bits = found.bits;
    }
    return new ChunkSet(this.#chunkCount, bits);
  }

  /** Stores which chunks are there. */
  save(chunks: ChunkSet): void {
    const at = this.#placeOfSnapshot();
    const body = new Uint8Array(this.#snapshotBytes - FLASH_WORD_BYTES).fill(ERASED);
    body.set(chunks.bits);
    this.#snapshotNumber += 1;
    const header = new FieldWriter(FLASH_WORD_BYTES)
      .uint("kind", SNAPSHOT, 1)
      .uint("number", this.#snapshotNumber, 3)
      .uint("CRC32", crc32(chunks.bits), 4).bytes;
    this.#snapshotAt = at + this.#snapshotBytes;
    this.#program(at + FLASH_WORD_BYTES, body);
    this.#program(at, header);
  }

  get parityCount(): number {
    return this.#parity.length;
  }

  parityRow(place: number): number {
    return readUint(this.#read(this.#parity[place] as number, FLASH_WORD_BYTES), 1, 3);
  }

  readParityWord(place: number, stripe: number, word: Uint8Array): void {
    this.#flash.read((this.#parity[place] as number) + FLASH_WORD_BYTES * (1 + stripe), word);
  }

  /** `false` when the area is full. */
  appendParity(n: number, payload: Uint8Array): boolean {
    const at = this.#parityEnd;
    if (at + this.#recordBytes > this.#parityFrom + this.#areaBytes) return false;
    const header = new FieldWriter(FLASH_WORD_BYTES).uint("kind", PARITY, 1).uint("n", n, 3).bytes;
    this.#parityEnd = at + this.#recordBytes;
    this.#program(at + FLASH_WORD_BYTES, payload);
    this.#program(at, header);
    this.#parity.push(at);
    return true;
  }

  /** Takes all parity back: some of it is not what it says. */
  forgetParity(): void {
    erasePages(this.#flash, this.#parityFrom, this.#parityFrom + this.#areaBytes);
    this.#parity = [];
    this.#parityEnd = this.#parityFrom;
  }

  /** Payloads that fit into the staging area. */
  get stagingCount(): number {
    return Math.floor(this.#areaBytes / this.#payloadBytes);
  }

  /** Makes room for a solution of `count` payloads. */
  beginStaging(count: number): void {
    erasePages(this.#flash, this.#stagingFrom, this.#stagingFrom + count * this.#payloadBytes);
  }

  stage(place: number, stripe: number, word: Uint8Array): void {
    programWord(this.#flash, this.#stagingFrom + place * this.#payloadBytes + stripe * FLASH_WORD_BYTES, word);
  }

  /** A payload of the solution; a copy. */
  staged(place: number): Uint8Array {
    return this.#read(this.#stagingFrom + place * this.#payloadBytes, this.#payloadBytes);
  }

  get #recordBytes(): number {
    return FLASH_WORD_BYTES + this.#payloadBytes;
  }

  get #parityFrom(): number {
    return 2 * this.#journalBytes;
  }

  get #stagingFrom(): number {
    return this.#parityFrom + this.#areaBytes;
  }

  #placeOfSnapshot(): number {
    const journal = this.#snapshotAt <= this.#journalBytes ? 0 : this.#journalBytes;
    const isBlank = (at: number) => isErased(this.#read(at, this.#snapshotBytes));
    const last = journal + SNAPSHOTS_PER_JOURNAL * this.#snapshotBytes;
    if (this.#snapshotAt + this.#snapshotBytes <= last && isBlank(this.#snapshotAt)) return this.#snapshotAt;
    const other = journal === 0 && this.#snapshotNumber > 0 ? this.#journalBytes : 0;
    erasePages(this.#flash, other, other + this.#journalBytes);
    return other;
  }

  /** The last whole snapshot of a journal. */
  #lastSnapshot(journal: number): Snapshot | undefined {
    const bitmapBytes = Math.ceil(this.#chunkCount / 8);
    let found: Omit<Snapshot, "nextAt"> | undefined;
    let nextAt = journal;
    for (let at = journal; at < journal + SNAPSHOTS_PER_JOURNAL * this.#snapshotBytes; at += this.#snapshotBytes) {
      const snapshot = this.#read(at, this.#snapshotBytes);
      if (isErased(snapshot)) continue;
      // A torn snapshot takes its place too.
      nextAt = at + this.#snapshotBytes;
      const bits = snapshot.subarray(FLASH_WORD_BYTES, FLASH_WORD_BYTES + bitmapBytes);
      if (snapshot[0] !== SNAPSHOT || readUint(snapshot, 4, 4) !== crc32(bits)) continue;
      found = { number: readUint(snapshot, 1, 3), bits };
    }
    return found && { ...found, nextAt };
  }

  #recoverParity(): void {
    this.#parity = [];
    this.#parityEnd = this.#parityFrom;
    const last = this.#parityFrom + this.#areaBytes - this.#recordBytes;
    for (let at = this.#parityFrom; at <= last; at += this.#recordBytes) {
      const record = this.#read(at, this.#recordBytes);
      if (isErased(record)) continue;
      // All that lies before a used place counts as used.
      this.#parityEnd = at + this.#recordBytes;
      if (record[0] === PARITY) this.#parity.push(at);
    }
  }

  #read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#flash.read(at, bytes);
    return bytes;
  }

  #program(at: number, bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; offset += FLASH_WORD_BYTES)
      programWord(this.#flash, at + offset, bytes.subarray(offset, offset + FLASH_WORD_BYTES));
  }
}

const snapshotBytes = (chunkCount: number): number =>
  FLASH_WORD_BYTES * (1 + Math.ceil(Math.ceil(chunkCount / 8) / FLASH_WORD_BYTES));
