/** The elimination of a decoder: one row of bits for each leading column, packed into a triangle. */

/** What `add` says: the column that the row leads from now on, or nothing when it was a sum of rows that are there. */
export type Lead = number | undefined;

/**
 * Rows of bits over `columnCount` unknowns, each kept under its highest column. Row c has c + 1 bits, so the whole takes
 * L (L + 1) / 16 octets; two octets more a column tell the rows' order.
 */
export class ParityMatrix {
  readonly columnCount: number;
  /** Words of 32 columns in a row as `add` takes it; column c is bit c & 31 of word c >> 5. */
  readonly wordCount: number;
  #rank = 0;
  readonly #triangle: Uint32Array;
  /** 1 + the number that came with the row a column leads; 0 = no row yet. */
  readonly #origins: Uint16Array;

  /** @param columnCount 1 … 65534. */
  constructor(columnCount: number) {
    this.columnCount = columnCount;
    this.wordCount = (columnCount + 31) >>> 5;
    this.#triangle = new Uint32Array((triangular(columnCount) + 31) >>> 5);
    this.#origins = new Uint16Array(columnCount);
  }

  get rank(): number {
    return this.#rank;
  }

  get isFull(): boolean {
    return this.#rank === this.columnCount;
  }

  /** Octets of the structures this matrix holds. */
  get ramBytes(): number {
    return this.#triangle.byteLength + this.#origins.byteLength;
  }

  /** The number that came with the row that `lead` leads, if there is one. */
  originOf(lead: number): number | undefined {
    const origin = this.#origins[lead] as number;
    return origin === 0 ? undefined : origin - 1;
  }

  /**
   * Adds a row, reducing it in place.
   *
   * @param origin What `originOf` shall tell of it, 0 … 65533.
   */
  add(row: Uint32Array, origin: number): Lead {
    for (let lead = highestColumn(row); lead !== undefined; lead = highestColumn(row)) {
      if (this.#origins[lead] === 0) {
        this.#store(row, lead);
        this.#origins[lead] = origin + 1;
        this.#rank += 1;
        return lead;
      }
      this.addRowTo(row, lead);
    }
    return undefined;
  }

  /** Adds the row that `lead` leads to `row`, modulo 2. */
  addRowTo(row: Uint32Array, lead: number): void {
    const offset = triangular(lead);
    for (let column = 0; column <= lead; column += 32) {
      const word = column >>> 5;
      row[word] = (row[word] as number) ^ this.#bits(offset + column, lead + 1 - column);
    }
  }

  /** Whether the row that `lead` leads has a bit in `column`, which is at most `lead`. */
  hasBit(lead: number, column: number): boolean {
    const place = triangular(lead) + column;
    return (((this.#triangle[place >>> 5] as number) >>> (place & 31)) & 1) === 1;
  }

  /** Up to 32 bits of the triangle from `place` on. */
  #bits(place: number, count: number): number {
    const word = place >>> 5;
    const shift = place & 31;
    const low = (this.#triangle[word] as number) >>> shift;
    const high = shift === 0 ? 0 : (this.#triangle[word + 1] ?? 0) << (32 - shift);
    return (low | high) & (count >= 32 ? -1 : (1 << count) - 1);
  }

  #store(row: Uint32Array, lead: number): void {
    const offset = triangular(lead);
    for (let column = 0; column <= lead; column += 1) {
      if ((((row[column >>> 5] as number) >>> (column & 31)) & 1) === 0) continue;
      const place = offset + column;
      this.#triangle[place >>> 5] = (this.#triangle[place >>> 5] as number) | (1 << (place & 31));
    }
  }
}

/** The highest column with a bit, or `undefined` when there is none. */
export function highestColumn(row: Uint32Array): number | undefined {
  for (let word = row.length - 1; word >= 0; word -= 1) {
    const bits = row[word] as number;
    if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
  }
  return undefined;
}

/** Bits of all rows before the one that `lead` leads. */
const triangular = (lead: number): number => (lead * (lead + 1)) / 2;
