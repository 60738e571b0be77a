/** The image as it lies in flash: plain chunks at (SEQ − 1) × chunk, read back as the payloads that travelled. */
import type { ContentCipher } from "./content-cipher.ts";
import { FLASH_WORD_BYTES, programOnce, type WordFlash } from "./word-flash.ts";

export interface ImageSlotOptions {
  readonly flash: WordFlash;
  readonly cipher: ContentCipher;
  /** Octets of the image in one chunk, a multiple of 8. */
  readonly chunkBytes: number;
}

export class ImageSlot {
  readonly #flash: WordFlash;
  readonly #cipher: ContentCipher;
  readonly #chunkBytes: number;
  readonly #chunk: Uint8Array;

  constructor({ flash, cipher, chunkBytes }: ImageSlotOptions) {
    this.#flash = flash;
    this.#cipher = cipher;
    this.#chunkBytes = chunkBytes;
    this.#chunk = new Uint8Array(chunkBytes);
  }

  /**
   * Programs a chunk's words, each at most once: what a power cut left half done is completed.
   *
   * @returns Whether the chunk is there now; `false` when other words are in its place, which only `discard` takes away.
   */
  store(chunk: number, plain: Uint8Array): boolean {
    const at = (chunk - 1) * this.#chunkBytes;
    for (let offset = 0; offset < this.#chunkBytes; offset += FLASH_WORD_BYTES) {
      const word = plain.subarray(offset, offset + FLASH_WORD_BYTES);
      if (programOnce(this.#flash, at + offset, word) === "different") return false;
    }
    return true;
  }

  /** The plain octets of a chunk that is there, in a buffer that the next call uses again. */
  plain(chunk: number): Uint8Array {
    this.#flash.read((chunk - 1) * this.#chunkBytes, this.#chunk);
    return this.#chunk;
  }

  /** The payload of a chunk that is there, as it travelled: encryption is a function of chunk and SEQ. */
  payload(chunk: number): Uint8Array {
    return this.#cipher.seal(chunk, this.plain(chunk));
  }

  /** The chunks that share a page with one of `first` … `last`: what `discard` of these takes along. */
  neighbours(first: number, last: number): { readonly first: number; readonly last: number } {
    const { pageBytes } = this.#flash;
    const from = Math.floor(((first - 1) * this.#chunkBytes) / pageBytes) * pageBytes;
    const to = Math.ceil((last * this.#chunkBytes) / pageBytes) * pageBytes;
    return { first: Math.floor(from / this.#chunkBytes) + 1, last: Math.ceil(to / this.#chunkBytes) };
  }

  /** Erases the pages of the chunks `first` … `last`. */
  discard(first: number, last: number): void {
    const { pageBytes } = this.#flash;
    const from = Math.floor(((first - 1) * this.#chunkBytes) / pageBytes) * pageBytes;
    for (let offset = from; offset < last * this.#chunkBytes; offset += pageBytes) this.#flash.erase(offset);
  }
}
