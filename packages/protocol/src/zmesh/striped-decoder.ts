/**
 * The decoder for constrained devices: it holds bits in RAM and chunks nowhere but in flash.
 *
 * Chunks lie in the image slot, parity as it came in scratch flash. The only thing in RAM while packets come is a triangle
 * of bits. When its rank is the number of chunks that are missing, the elimination is replayed once for each 8 octets
 * ("stripe") of a payload, and gives each missing double word exactly once.
 */
import { BugError } from "../lib/errors.ts";
import type { ChunkSet } from "./chunk-set.ts";
import { highestColumn, ParityMatrix } from "./parity-matrix.ts";
import type { RepairRows } from "./repair-rows.ts";

/** Octets that flash programs at once, and of a payload that one replay solves. */
export const STRIPE_BYTES = 8;

/** Missing chunks up to which parity is used by default: 17 KB of RAM, and a loss of 20 % of 2000 chunks for nearly all devices. */
export const DEFAULT_MAX_MISSING = 448;

/** Parity chunks that a decoder keeps: so many a row of its matrix can name. */
const LARGEST_PARITY_COUNT = 65_534;

/** The flash of a decoder. Words are 8 octets of a payload as it travels: ciphertext, with its tag if it has one. */
export interface DecoderStore {
  /** Puts octets 8 × stripe … of the payload of a chunk that is there into `word`. */
  readChunkWord(chunk: number, stripe: number, word: Uint8Array): void;
  /** Parity chunks that are stored. Their places are 0 … count − 1, in the order in which they were appended. */
  readonly parityCount: number;
  /** The row number n of a stored parity chunk. */
  parityRow(place: number): number;
  readParityWord(place: number, stripe: number, word: Uint8Array): void;
  /** Appends a parity chunk; `false` when there is no room for it. */
  appendParity(n: number, payload: Uint8Array): boolean;
}

export interface DecoderOptions {
  /** The chunks that are there. The owner adds to it, and tells `chunkAdded`. */
  readonly chunks: ChunkSet;
  readonly rows: RepairRows;
  readonly store: DecoderStore;
  /** Octets of a payload as it travels, a multiple of 8. */
  readonly payloadBytes: number;
  /** Most missing chunks for which RAM is there; beyond, parity is stored as it comes, and waits. */
  readonly maxMissing: number;
}

export class StripedDecoder {
  readonly #options: DecoderOptions;
  /** Of the present set of missing chunks; `undefined` when that set has changed or is too large. */
  #matrix: ParityMatrix | undefined;
  #peakRamBytes = 0;
  readonly #word = new Uint32Array(2);
  readonly #wordBytes = new Uint8Array(this.#word.buffer);

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#note(0);
  }

  /** The most octets that bitmap, triangle, row and stripe have taken together so far. */
  get peakRamBytes(): number {
    return this.#peakRamBytes;
  }

  /**
   * Packets that are still needed: 0 = solvable or complete. All that is missing while that is too much for the RAM: parity
   * alone would not help, however much there is.
   */
  get deficit(): number {
    const { missingCount } = this.#options.chunks;
    return missingCount - (this.#currentMatrix()?.rank ?? 0);
  }

  /** The missing chunks that would make the rest solvable, in order: as many as the deficit says. */
  *wanted(): Generator<number> {
    const matrix = this.#currentMatrix();
    let column = 0;
    for (const chunk of this.#options.chunks.missing()) {
      if (matrix?.originOf(column) === undefined) yield chunk;
      column += 1;
    }
  }

  /** Whether `solve` would give all that is missing. */
  get isSolvable(): boolean {
    const { chunks, store } = this.#options;
    if (chunks.missingCount === 0 || store.parityCount < chunks.missingCount) return false;
    return this.#currentMatrix()?.isFull === true;
  }

  /** A chunk has come or gone: its column has to leave or enter the elimination. */
  chunkChanged(): void {
    this.#matrix = undefined;
  }

  /**
   * Takes parity chunk n, and keeps it when it brings something new.
   *
   * @returns Whether it was kept.
   */
  addParity(n: number, payload: Uint8Array): boolean {
    const { chunks, store, maxMissing } = this.#options;
    if (chunks.missingCount === 0 || store.parityCount >= LARGEST_PARITY_COUNT) return false;
    if (chunks.missingCount > maxMissing) return !this.#isStored(n) && store.appendParity(n, payload);
    const matrix = this.#currentMatrix();
    if (matrix === undefined) throw new BugError("DECODER_MATRIX", "no matrix for a set that fits");
    if (matrix.add(this.#rowOverMissing(n, matrix), store.parityCount) === undefined) return false;
    if (store.appendParity(n, payload)) return true;
    // The row is in the matrix, its octets are not in flash: forget the matrix.
    this.#matrix = undefined;
    return false;
  }

  /**
   * Solves for all that is missing, stripe by stripe. May be called again after a power cut: it gives the same words.
   *
   * @param write Takes 8 octets of a missing chunk's payload, which are valid during the call. Each pair of chunk and stripe
   *   comes once: all chunks of stripe 0 in order, then of stripe 1, and so on.
   * @throws {BugError} `DECODER_NOT_SOLVABLE` unless `isSolvable`.
   */
  solve(write: (chunk: number, stripe: number, word: Uint8Array) => void): void {
    const matrix = this.#currentMatrix();
    if (!matrix?.isFull) throw new BugError("DECODER_NOT_SOLVABLE", "parity is still missing");
    const values = new Uint32Array(2 * matrix.columnCount);
    this.#note(values.byteLength + 4 * matrix.wordCount);
    for (let stripe = 0; stripe < this.#options.payloadBytes / STRIPE_BYTES; stripe += 1) {
      this.#replay(matrix, stripe, values);
      substituteBack(matrix, values);
      let column = 0;
      for (const chunk of this.#options.chunks.missing()) {
        this.#word[0] = values[2 * column] as number;
        this.#word[1] = values[2 * column + 1] as number;
        write(chunk, stripe, this.#wordBytes);
        column += 1;
      }
    }
  }

  #isStored(n: number): boolean {
    const { store } = this.#options;
    for (let place = 0; place < store.parityCount; place += 1) if (store.parityRow(place) === n) return true;
    return false;
  }

  #currentMatrix(): ParityMatrix | undefined {
    const { chunks, store, maxMissing } = this.#options;
    if (this.#matrix || chunks.missingCount > maxMissing || chunks.missingCount === 0) return this.#matrix;
    const matrix = new ParityMatrix(chunks.missingCount);
    for (let place = 0; place < store.parityCount && !matrix.isFull; place += 1)
      matrix.add(this.#rowOverMissing(store.parityRow(place), matrix), place);
    this.#matrix = matrix;
    this.#note(4 * matrix.wordCount);
    return matrix;
  }

  #rowOverMissing(n: number, matrix: ParityMatrix): Uint32Array {
    const isMember = this.#options.rows(n);
    const row = new Uint32Array(matrix.wordCount);
    let column = 0;
    for (const chunk of this.#options.chunks.missing()) {
      if (isMember(chunk)) row[column >>> 5] = (row[column >>> 5] as number) | (1 << (column & 31));
      column += 1;
    }
    return row;
  }

  /** Repeats the elimination on one stripe: leaves in `values` what each row of the triangle sums up to. */
  #replay(matrix: ParityMatrix, stripe: number, values: Uint32Array): void {
    for (let place = 0; place < this.#options.store.parityCount; place += 1) {
      if (!isOrigin(matrix, place)) continue;
      const n = this.#options.store.parityRow(place);
      const row = this.#rowOverMissing(n, matrix);
      let [low, high] = this.#paritySum(place, n, stripe);
      for (let lead = highestColumn(row); lead !== undefined; lead = highestColumn(row)) {
        if (matrix.originOf(lead) === place) {
          values[2 * lead] = low;
          values[2 * lead + 1] = high;
          break;
        }
        matrix.addRowTo(row, lead);
        low ^= values[2 * lead] as number;
        high ^= values[2 * lead + 1] as number;
      }
    }
  }

  /** A parity word less the words of all its chunks that are there. */
  #paritySum(place: number, n: number, stripe: number): readonly [low: number, high: number] {
    const { chunks, rows, store } = this.#options;
    const word = this.#word;
    store.readParityWord(place, stripe, this.#wordBytes);
    let low = word[0] as number;
    let high = word[1] as number;
    const isMember = rows(n);
    for (let chunk = 1; chunk <= chunks.chunkCount; chunk += 1) {
      if (!chunks.has(chunk) || !isMember(chunk)) continue;
      store.readChunkWord(chunk, stripe, this.#wordBytes);
      low ^= word[0] as number;
      high ^= word[1] as number;
    }
    return [low, high];
  }

  #note(workingBytes: number): void {
    const heldBytes = this.#options.chunks.ramBytes + (this.#matrix?.ramBytes ?? 0) + this.#word.byteLength;
    this.#peakRamBytes = Math.max(this.#peakRamBytes, heldBytes + workingBytes);
  }
}

function isOrigin(matrix: ParityMatrix, place: number): boolean {
  for (let lead = 0; lead < matrix.columnCount; lead += 1) if (matrix.originOf(lead) === place) return true;
  return false;
}

/** Turns the sums of the triangle's rows into the unknowns, from the shortest row on. */
function substituteBack(matrix: ParityMatrix, values: Uint32Array): void {
  for (let lead = 0; lead < matrix.columnCount; lead += 1) {
    for (let column = 0; column < lead; column += 1) {
      if (!matrix.hasBit(lead, column)) continue;
      values[2 * lead] = (values[2 * lead] as number) ^ (values[2 * column] as number);
      values[2 * lead + 1] = (values[2 * lead + 1] as number) ^ (values[2 * column + 1] as number);
    }
  }
}
