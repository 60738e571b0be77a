/** Options: numbers, what a value may look like, and reading them (RFC 7252 §5.4 and §5.10, RFC 7641, RFC 7959, RFC 7967, RFC 8768). */
import { decodeUtf8, EMPTY, encodeUtf8 } from "../lib/bytes.ts";

/** One option. Several with the same number are several entries, in the order of the message. */
export interface CoapOption {
  /** 0 … 65535 */
  readonly number: number;
  readonly value: Uint8Array;
}

/** Option numbers. @see RFC 7252 §12.2, RFC 7641 §2, RFC 7959 §2.1 and §4, RFC 7967 §2, RFC 8768 §3 */
export const OPTION = {
  ifMatch: 1,
  uriHost: 3,
  etag: 4,
  ifNoneMatch: 5,
  observe: 6,
  uriPort: 7,
  locationPath: 8,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  hopLimit: 16,
  accept: 17,
  locationQuery: 20,
  block2: 23,
  block1: 27,
  size2: 28,
  proxyUri: 35,
  proxyScheme: 39,
  size1: 60,
  noResponse: 258,
} as const;

interface OptionRule {
  readonly minLength: number;
  readonly maxLength: number;
  readonly repeatable: boolean;
}

const rule = (minLength: number, maxLength: number, repeatable = false): OptionRule => ({
  minLength,
  maxLength,
  repeatable,
});

/** Lengths and repeatability (RFC 7252 table 4 and those of the later documents), by option number. */
const RULES: ReadonlyMap<number, OptionRule> = new Map([
  [OPTION.ifMatch, rule(0, 8, true)],
  [OPTION.uriHost, rule(1, 255)],
  [OPTION.etag, rule(1, 8, true)],
  [OPTION.ifNoneMatch, rule(0, 0)],
  [OPTION.observe, rule(0, 3)],
  [OPTION.uriPort, rule(0, 2)],
  [OPTION.locationPath, rule(0, 255, true)],
  [OPTION.uriPath, rule(0, 255, true)],
  [OPTION.contentFormat, rule(0, 2)],
  [OPTION.maxAge, rule(0, 4)],
  [OPTION.uriQuery, rule(0, 255, true)],
  [OPTION.hopLimit, rule(1, 1)],
  [OPTION.accept, rule(0, 2)],
  [OPTION.locationQuery, rule(0, 255, true)],
  [OPTION.block2, rule(0, 3)],
  [OPTION.block1, rule(0, 3)],
  [OPTION.size2, rule(0, 4)],
  [OPTION.proxyUri, rule(1, 1034)],
  [OPTION.proxyScheme, rule(1, 255)],
  [OPTION.size1, rule(0, 4)],
  [OPTION.noResponse, rule(0, 1)],
]);

/** Whether a receiver that does not know the option must refuse the message (odd numbers). @see RFC 7252 §5.4.6 */
export function isCritical(optionNumber: number): boolean {
  return (optionNumber & 1) === 1;
}

/**
 * What may not be acted on: an option that is unknown, has an impossible length, or is repeated without leave counts as
 * unrecognized; an elective one is left out, a critical one is named.
 *
 * @returns `options` itself when all are fine, those that remain when elective ones were dropped, or the number of the
 *   first unacceptable critical option.
 * @see RFC 7252 §5.4.1, §5.4.3, §5.4.5
 */
export function acceptableOptions(options: readonly CoapOption[]): readonly CoapOption[] | number {
  let kept: CoapOption[] | undefined;
  let before = -1;
  for (let i = 0; i < options.length; i += 1) {
    const option = options[i] as CoapOption;
    const isKnown = isAsItsRuleSays(option, option.number === before);
    before = option.number;
    if (isKnown) kept?.push(option);
    else if (isCritical(option.number)) return option.number;
    else kept ??= options.slice(0, i);
  }
  return kept ?? options;
}

function isAsItsRuleSays({ number, value }: CoapOption, isRepeated: boolean): boolean {
  const known = RULES.get(number);
  if (known === undefined || value.length < known.minLength || value.length > known.maxLength) return false;
  return known.repeatable || !isRepeated;
}

/** The first option of this number. */
export function findOption(options: readonly CoapOption[], optionNumber: number): CoapOption | undefined {
  for (const option of options) if (option.number === optionNumber) return option;
  return undefined;
}

/** The value of the first option of this number; a view. */
export function optionBytes(options: readonly CoapOption[], optionNumber: number): Uint8Array | undefined {
  return findOption(options, optionNumber)?.value;
}

/** The first option of this number as an unsigned integer, 0 … 2³² − 1; `undefined` when absent or longer than 4 octets. */
export function optionUint(options: readonly CoapOption[], optionNumber: number): number | undefined {
  const value = findOption(options, optionNumber)?.value;
  return value === undefined || value.length > 4 ? undefined : decodeUint(value);
}

/** All options of this number as text; one that is not UTF-8 is left out. */
export function optionTexts(options: readonly CoapOption[], optionNumber: number): string[] {
  const texts: string[] = [];
  for (const option of options) {
    if (option.number !== optionNumber) continue;
    const text = asciiText(option.value) ?? decodeUtf8(option.value);
    if (text !== undefined) texts.push(text);
  }
  return texts;
}

/** Short text of ASCII only, which nearly all paths are: much faster than the general way. */
function asciiText(value: Uint8Array): string | undefined {
  if (value.length > 16) return undefined;
  let text = "";
  for (let i = 0; i < value.length; i += 1) {
    const byte = value[i] as number;
    if (byte >= 0x80) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** An option holding an unsigned integer in its shortest form, 0 … 2³² − 1. @see RFC 7252 §3.2 */
export function uintOption(optionNumber: number, value: number): CoapOption {
  return { number: optionNumber, value: encodeUint(value) };
}

/** An option holding text. */
export function textOption(optionNumber: number, text: string): CoapOption {
  return { number: optionNumber, value: encodeUtf8(text) };
}

/** The shortest big-endian form; zero is the empty string. @see RFC 7252 §3.2 */
export function encodeUint(value: number): Uint8Array<ArrayBuffer> {
  if (value === 0) return EMPTY;
  if (value < 0x100) return Uint8Array.of(value);
  if (value < 0x1_0000) return Uint8Array.of(value >> 8, value);
  if (value < 0x100_0000) return Uint8Array.of(value >> 16, value >> 8, value);
  return Uint8Array.of(value >>> 24, value >> 16, value >> 8, value);
}

/** Big-endian, leading zeros allowed, 0 … 4 octets. */
export function decodeUint(bytes: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < bytes.length; i += 1) value = value * 256 + (bytes[i] ?? 0);
  return value;
}

/** Uri-Path options of `/a/b`; segments are percent-decoded, `/` alone gives none. @see RFC 7252 §6.4 */
export function pathOptions(path: string): CoapOption[] {
  return segments(path, "/").map((segment) => textOption(OPTION.uriPath, segment));
}

/** Uri-Query options of `a=1&b`. @see RFC 7252 §6.4 */
export function queryOptions(query: string): CoapOption[] {
  return segments(query, "&").map((part) => textOption(OPTION.uriQuery, part));
}

/** The path of a request as its segments: `["rd", "5a3f"]`. */
export function uriPath(options: readonly CoapOption[]): string[] {
  return optionTexts(options, OPTION.uriPath);
}

/** The query of a request: `["ep=node", "lt=300"]`. */
export function uriQuery(options: readonly CoapOption[]): string[] {
  return optionTexts(options, OPTION.uriQuery);
}

function segments(text: string, separator: string): string[] {
  const bare = text.startsWith(separator) ? text.slice(1) : text;
  return bare === "" ? [] : bare.split(separator).map(percentDecoded);
}

function percentDecoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
