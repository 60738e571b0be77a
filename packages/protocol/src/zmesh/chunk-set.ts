/** Which of the chunks 1 … K are there: one bit each. */

export class ChunkSet {
  readonly chunkCount: number;
  #missingCount: number;
  readonly #bits: Uint8Array<ArrayBuffer>;

  /** @param bits An earlier set's `bits`, to go on from; copied. */
  constructor(chunkCount: number, bits?: Uint8Array) {
    this.chunkCount = chunkCount;
    this.#bits = new Uint8Array((chunkCount + 7) >>> 3);
    if (bits) this.#bits.set(bits.subarray(0, this.#bits.length));
    this.#missingCount = 0;
    for (let chunk = 1; chunk <= chunkCount; chunk += 1) if (!this.has(chunk)) this.#missingCount += 1;
  }

  get missingCount(): number {
    return this.#missingCount;
  }

  get presentCount(): number {
    return this.chunkCount - this.#missingCount;
  }

  get ramBytes(): number {
    return this.#bits.byteLength;
  }

  /** ⌈K / 8⌉ octets, chunk i in bit (i − 1) & 7 of octet (i − 1) >> 3; a view that changes with the set. */
  get bits(): Uint8Array {
    return this.#bits;
  }

  has(chunk: number): boolean {
    return (((this.#bits[(chunk - 1) >>> 3] as number) >>> ((chunk - 1) & 7)) & 1) === 1;
  }

  /** Whether the chunk was missing until now. */
  add(chunk: number): boolean {
    if (this.has(chunk)) return false;
    const octet = (chunk - 1) >>> 3;
    this.#bits[octet] = (this.#bits[octet] as number) | (1 << ((chunk - 1) & 7));
    this.#missingCount -= 1;
    return true;
  }

  /** Whether the chunk was there until now. */
  delete(chunk: number): boolean {
    if (!this.has(chunk)) return false;
    const octet = (chunk - 1) >>> 3;
    this.#bits[octet] = (this.#bits[octet] as number) & ~(1 << ((chunk - 1) & 7));
    this.#missingCount += 1;
    return true;
  }

  /** The first missing chunk from `chunk` on, or `undefined` when there is none. */
  nextMissing(chunk: number): number | undefined {
    for (let next = chunk; next <= this.chunkCount; next += 1) {
      const rest = 8 - ((next - 1) & 7);
      if (rest === 8 && this.#bits[(next - 1) >>> 3] === 0xff) next += 7;
      else if (!this.has(next)) return next;
    }
    return undefined;
  }

  /** The missing chunks in order. */
  *missing(): Generator<number> {
    for (let chunk = this.nextMissing(1); chunk !== undefined; chunk = this.nextMissing(chunk + 1)) yield chunk;
  }
}
