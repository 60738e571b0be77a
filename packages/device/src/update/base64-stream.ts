/** Base64 of RFC 4648 §4 in pieces: the form that an Opaque resource has as text/plain (LwM2M Core §7.4). */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PADDING = 0x3d;
const SEXTETS = new Int8Array(256).fill(-1);
for (let i = 0; i < ALPHABET.length; i += 1) SEXTETS[ALPHABET.charCodeAt(i)] = i;

/** Decodes one base64 text that arrives in pieces of any length; keeps at most three characters between them. */
export class Base64Stream {
  #bits = 0;
  /** Characters of the current group of four that have arrived, padding included. */
  #count = 0;
  #padding = 0;

  /** The octets that `text` completes, or `undefined` when it is not base64; with `last`, the text must be whole. */
  decode(text: Uint8Array, last: boolean): Uint8Array<ArrayBuffer> | undefined {
    const bytes: number[] = [];
    for (const character of text) {
      if (!this.#take(character)) return undefined;
      if (this.#count === 4) this.#emit(bytes);
    }
    return last && this.#count !== 0 ? undefined : Uint8Array.from(bytes);
  }

  #take(character: number): boolean {
    if (character === PADDING) {
      if (this.#count < 2) return false;
      this.#padding += 1;
      this.#bits <<= 6;
    } else {
      const sextet = SEXTETS[character] ?? -1;
      if (sextet < 0 || this.#padding > 0) return false;
      this.#bits = (this.#bits << 6) | sextet;
    }
    this.#count += 1;
    return true;
  }

  #emit(bytes: number[]): void {
    bytes.push((this.#bits >> 16) & 0xff);
    if (this.#padding < 2) bytes.push((this.#bits >> 8) & 0xff);
    if (this.#padding < 1) bytes.push(this.#bits & 0xff);
    this.#bits = 0;
    this.#count = 0;
  }
}
