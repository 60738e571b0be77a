/** Flash with error correction: a word is programmed once between two erasures, or this file says so; and it loses power. */
import type { Random } from "@airlift/protocol/lib/core";
import { ERASED, FLASH_WORD_BYTES, type WordFlash } from "@airlift/protocol/zmesh/word-flash";
import { PowerCut } from "./flash.ts";

/** A word was programmed that was not erased: on real flash it is lost now. */
export class ProgrammedTwice extends Error {
  constructor(offset: number) {
    super(`the word at ${offset} was programmed twice`);
    this.name = "ProgrammedTwice";
  }
}

export interface WordFlashSize {
  readonly sizeBytes: number;
  readonly pageBytes: number;
}

/** Programs and erasures so far, over all flashes that share it; `cutAt` is the one the power does not outlive. */
export class FlashPower {
  operationCount = 0;
  cutAt = Number.POSITIVE_INFINITY;
  /** Whether the operation that the power did not outlive took place all the same. */
  readonly #chance: Random;
  #isOff = false;

  constructor(chance: Random) {
    this.#chance = chance;
  }

  restart(): void {
    this.#isOff = false;
    this.operationCount = 0;
    this.cutAt = Number.POSITIVE_INFINITY;
  }

  /** Does `operation`, or half of it and throws. */
  run(operation: () => void): void {
    if (this.#isOff) throw new PowerCut();
    if (this.operationCount === this.cutAt) {
      this.#isOff = true;
      if (this.#chance() < 0.5) operation();
      throw new PowerCut();
    }
    this.operationCount += 1;
    operation();
  }
}

export class SimWordFlash implements WordFlash {
  readonly sizeBytes: number;
  readonly pageBytes: number;
  /** Words programmed, erasures of pages. */
  programCount = 0;
  eraseCount = 0;
  /** A copy is `bytes.slice()`. */
  readonly bytes: Uint8Array;
  readonly #isProgrammed: Uint8Array;
  readonly #power: FlashPower;

  constructor({ sizeBytes, pageBytes }: WordFlashSize, power: FlashPower = new FlashPower(() => 0)) {
    this.sizeBytes = sizeBytes;
    this.pageBytes = pageBytes;
    this.bytes = new Uint8Array(sizeBytes).fill(ERASED);
    this.#isProgrammed = new Uint8Array(sizeBytes / FLASH_WORD_BYTES);
    this.#power = power;
  }

  read(offset: number, into: Uint8Array): void {
    if (offset < 0 || offset + into.length > this.sizeBytes) throw new RangeError(`read at ${offset}`);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  program(offset: number, word: Uint8Array): void {
    if (
      offset < 0 ||
      offset % FLASH_WORD_BYTES !== 0 ||
      word.length !== FLASH_WORD_BYTES ||
      offset + word.length > this.sizeBytes
    )
      throw new RangeError(`program ${word.length} at ${offset}`);
    const place = offset / FLASH_WORD_BYTES;
    if (this.#isProgrammed[place] !== 0) throw new ProgrammedTwice(offset);
    this.#power.run(() => {
      this.#isProgrammed[place] = 1;
      this.bytes.set(word, offset);
      this.programCount += 1;
    });
  }

  erase(offset: number): void {
    if (offset < 0 || offset % this.pageBytes !== 0 || offset >= this.sizeBytes)
      throw new RangeError(`erase at ${offset}`);
    this.#power.run(() => {
      this.bytes.fill(ERASED, offset, offset + this.pageBytes);
      this.#isProgrammed.fill(0, offset / FLASH_WORD_BYTES, (offset + this.pageBytes) / FLASH_WORD_BYTES);
      this.eraseCount += 1;
    });
  }
}
