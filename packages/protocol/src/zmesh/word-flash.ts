/** Flash as a microcontroller has it: read anywhere, program double words, erase pages. A port of whoever runs a receiver. */

import { equalBytes } from "../lib/bytes.ts";

/** Octets that are programmed at once. */
export const FLASH_WORD_BYTES = 8;

/** What erased flash reads as. */
export const ERASED = 0xff;

/**
 * All calls block until the flash has done it, and may throw what the device wants to see at its top; after that, and after
 * a power cut, a word holds what it held or what it was to hold.
 */
export interface WordFlash {
  /** A multiple of `pageBytes`. */
  readonly sizeBytes: number;
  /** Octets that are erased together, a multiple of 8. */
  readonly pageBytes: number;
  /** Fills `into` with the octets from `offset` on. */
  read(offset: number, into: Uint8Array): void;
  /** Programs the erased word at `offset`, a multiple of 8. With error correction, no word can be programmed twice. */
  program(offset: number, word: Uint8Array): void;
  /** Erases the page that begins at `offset`. */
  erase(offset: number): void;
}

/** Whether all of it reads as erased. */
export function isErased(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i += 1) if (bytes[i] !== ERASED) return false;
  return true;
}

/** What a word holds with regard to what it is to hold. */
export type WordState = "erased" | "same" | "different";

/** Programs a word unless it holds that already; an erased word that shall read as erased is left alone. */
export function programOnce(flash: WordFlash, offset: number, word: Uint8Array): WordState {
  const state = wordState(flash, offset, word);
  if (state === "erased") programWord(flash, offset, word);
  return state;
}

/**
 * Programs an erased word, unless it is to read as erased: so what reads as blank has not been programmed, and may be, without
 * anybody having kept count.
 */
export function programWord(flash: WordFlash, offset: number, word: Uint8Array): void {
  if (!isErased(word)) flash.program(offset, word);
}

/** Erases all pages from `from` up to `to` that are not blank. */
export function erasePages(flash: WordFlash, from: number, to: number): void {
  const page = new Uint8Array(flash.pageBytes);
  for (let offset = from - (from % flash.pageBytes); offset < to; offset += flash.pageBytes) {
    flash.read(offset, page);
    if (!isErased(page)) flash.erase(offset);
  }
}

function wordState(flash: WordFlash, offset: number, word: Uint8Array): WordState {
  flash.read(offset, held);
  if (equalBytes(held, word)) return "same";
  return isErased(held) ? "erased" : "different";
}

const held = new Uint8Array(FLASH_WORD_BYTES);
