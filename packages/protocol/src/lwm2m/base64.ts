/** Base64 in its two alphabets (RFC 4648 §4, §5). */

const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE = `${STANDARD.slice(0, 62)}-_`;

export type Base64Alphabet = "standard" | "url";

const ALPHABETS: Readonly<Record<Base64Alphabet, string>> = { standard: STANDARD, url: URL_SAFE };

/** Reverse tables by character code; 255 is no digit. */
const DIGITS: Readonly<Record<Base64Alphabet, Uint8Array>> = { standard: reverse(STANDARD), url: reverse(URL_SAFE) };

function reverse(alphabet: string): Uint8Array {
  const digits = new Uint8Array(128).fill(255);
  for (let digit = 0; digit < 64; digit += 1) digits[alphabet.charCodeAt(digit)] = digit;
  return digits;
}

/** Padded in the standard alphabet, unpadded in the URL-safe one, as the formats that use them ask. */
export function encodeBase64(bytes: Uint8Array, alphabet: Base64Alphabet): string {
  const letters = ALPHABETS[alphabet];
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += letters.charAt(group >> 18) + letters.charAt((group >> 12) & 63);
    if (left > 1) text += letters.charAt((group >> 6) & 63);
    if (left > 2) text += letters.charAt(group & 63);
  }
  return alphabet === "url" ? text : text.padEnd(4 * Math.ceil(bytes.length / 3), "=");
}

/** The octets of `text`, padded or not, or `undefined` when it is not base64 of this alphabet with clear unused bits. */
export function decodeBase64(text: string, alphabet: Base64Alphabet): Uint8Array<ArrayBuffer> | undefined {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const length = text.length - padding;
  if ((padding > 0 && text.length % 4 !== 0) || length % 4 === 1) return undefined;
  const digits = DIGITS[alphabet];
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let bits = 0;
  let bitCount = 0;
  for (let at = 0, out = 0; at < length; at += 1) {
    const digit = digits[text.charCodeAt(at)] ?? 255;
    if (digit === 255) return undefined;
    bits = ((bits << 6) | digit) & 0xffff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    bytes[out] = bits >> bitCount;
    out += 1;
  }
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : undefined;
}
