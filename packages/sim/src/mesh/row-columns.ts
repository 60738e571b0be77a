/** Ranks of many receivers at once: the same rows as the decoder's, held by column, so that one elimination tells all ranks. */
import type { RepairRows } from "@airlift/protocol/zmesh/repair-rows";

/** The rows 1 … `rowCount` of a content, each chunk's column as a bit set over the rows. */
export class RowColumns {
  readonly rowCount: number;
  readonly wordCount: number;
  readonly #columns: Uint32Array;
  #scratch = new Uint32Array(0);
  readonly #pivotColumn: Int32Array;

  constructor(rows: RepairRows, chunkCount: number, rowCount: number) {
    this.rowCount = rowCount;
    this.wordCount = (rowCount + 31) >>> 5;
    this.#columns = new Uint32Array(this.wordCount * chunkCount);
    this.#pivotColumn = new Int32Array(rowCount);
    for (let n = 1; n <= rowCount; n += 1) {
      const isMember = rows(n);
      const word = (n - 1) >>> 5;
      const bit = 1 << ((n - 1) & 31);
      for (let chunk = 1; chunk <= chunkCount; chunk += 1) {
        if (isMember(chunk)) this.#set((chunk - 1) * this.wordCount + word, bit);
      }
    }
  }

  /**
   * The rows among the received ones that are innovative for a receiver that lacks `missing`, when they come in order: the
   * rank after row n is how many of them are n or less. Eliminating columns finds them all at once, since a row is
   * independent of those before it exactly when it leads a column of the reduced column space.
   *
   * @param missing Chunks 1 … K, without repeats.
   * @param received One bit a row: row n is bit (n − 1) of the set.
   */
  innovativeRows(missing: ArrayLike<number>, received: Uint32Array): number[] {
    const { wordCount } = this;
    if (this.#scratch.length < missing.length * wordCount)
      this.#scratch = new Uint32Array(missing.length * wordCount * 2);
    this.#pivotColumn.fill(-1);
    const innovative: number[] = [];
    for (let place = 0; place < missing.length; place += 1) {
      const from = ((missing[place] as number) - 1) * wordCount;
      const base = place * wordCount;
      for (let w = 0; w < wordCount; w += 1)
        this.#scratch[base + w] = (this.#columns[from + w] as number) & (received[w] as number);
      const row = this.#reduce(base);
      if (row === undefined) continue;
      this.#pivotColumn[row] = base;
      innovative.push(row + 1);
    }
    return innovative.sort((a, b) => a - b);
  }

  /** Adds earlier columns to the one at `base` until its first row is a new one; `undefined` when nothing is left of it. */
  #reduce(base: number): number | undefined {
    const scratch = this.#scratch;
    for (let w = 0; w < this.wordCount; w += 1) {
      for (let word = scratch[base + w] as number; word !== 0; word = scratch[base + w] as number) {
        const row = w * 32 + 31 - Math.clz32(word & -word);
        const pivot = this.#pivotColumn[row] as number;
        if (pivot < 0) return row;
        for (let v = w; v < this.wordCount; v += 1)
          scratch[base + v] = (scratch[base + v] as number) ^ (scratch[pivot + v] as number);
      }
    }
    return undefined;
  }

  #set(index: number, bit: number): void {
    this.#columns[index] = (this.#columns[index] as number) | bit;
  }
}
