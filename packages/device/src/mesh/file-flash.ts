/**
 * Flash for a mesh receiver in a file. It is held inverted, so that a file that is sparse reads as erased; a mirror in memory
 * answers reads, and what was programmed is in the file when `flush` returns.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { FLASH_WORD_BYTES, type WordFlash } from "@airlift/protocol/zmesh/word-flash";

const PAGE_BYTES = 4096;

export class FileFlash implements WordFlash {
  readonly sizeBytes: number;
  readonly pageBytes = PAGE_BYTES;
  readonly #file: number;
  /** Inverted octets. */
  readonly #mirror: Uint8Array;
  /** What is not in the file yet. */
  readonly #dirtyPages = new Set<number>();

  /** Opens or makes it. @param sizeBytes Rounded up to whole pages. The errors are those of node:fs. */
  constructor(path: string, sizeBytes: number) {
    this.sizeBytes = Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES;
    this.#mirror = new Uint8Array(this.sizeBytes);
    this.#file = openSync(path, "a+", 0o600);
    closeSync(this.#file);
    this.#file = openSync(path, "r+");
    const presentBytes = Math.min(fstatSync(this.#file).size, this.sizeBytes);
    for (let at = 0; at < presentBytes; ) {
      const count = readSync(this.#file, this.#mirror, at, presentBytes - at, at);
      if (count === 0) break;
      at += count;
    }
    ftruncateSync(this.#file, this.sizeBytes);
  }

  read(offset: number, into: Uint8Array): void {
    if (offset < 0 || offset + into.length > this.sizeBytes) throw new RangeError(`read at ${offset}`);
    for (let i = 0; i < into.length; i += 1) into[i] = ~(this.#mirror[offset + i] ?? 0);
  }

  program(offset: number, word: Uint8Array): void {
    if (offset % FLASH_WORD_BYTES !== 0 || offset < 0 || offset + word.length > this.sizeBytes)
      throw new RangeError(`program at ${offset}`);
    for (let i = 0; i < word.length; i += 1) this.#mirror[offset + i] = ~(word[i] ?? 0);
    this.#dirtyPages.add(Math.floor(offset / PAGE_BYTES));
  }

  erase(offset: number): void {
    this.#mirror.fill(0, offset, offset + PAGE_BYTES);
    this.#dirtyPages.add(offset / PAGE_BYTES);
  }

  /** Hands what was changed to the system; it outlives this process then. */
  flush(): void {
    for (const page of this.#dirtyPages)
      writeSync(this.#file, this.#mirror, page * PAGE_BYTES, PAGE_BYTES, page * PAGE_BYTES);
    this.#dirtyPages.clear();
  }

  /** Makes it outlive the power. */
  sync(): void {
    this.flush();
    fsyncSync(this.#file);
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }
}
