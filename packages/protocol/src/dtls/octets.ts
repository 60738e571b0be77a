/** Reading and writing the presentation language of TLS (RFC 5246 §4). */
import { concat } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";

/** Reads one structure from its beginning; every method throws `PeerError` `DTLS_FORMAT` where octets are missing. */
export class OctetReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** An unsigned number of 1 … 3 octets. */
  uint(octets: 1 | 2 | 3): number {
    let value = 0;
    for (const byte of this.take(octets)) value = value * 256 + byte;
    return value;
  }

  /** The next octets, as a view. */
  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new PeerError("DTLS_FORMAT", "a structure is cut off");
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** A vector after its length of 1 … 3 octets, as a view. */
  vector(lengthOctets: 1 | 2 | 3): Uint8Array {
    return this.take(this.uint(lengthOctets));
  }

  /** All that is left, as a view. */
  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }

  /** @throws {PeerError} `DTLS_FORMAT` when something is left. */
  end(): void {
    if (!this.isAtEnd) throw new PeerError("DTLS_FORMAT", "a structure is longer than it should be");
  }
}

/** Reads what `read` says up to the end of `bytes`. @throws {PeerError} `DTLS_FORMAT` */
export function readAll<T>(bytes: Uint8Array, read: (reader: OctetReader) => T): T[] {
  const reader = new OctetReader(bytes);
  const items: T[] = [];
  while (!reader.isAtEnd) items.push(read(reader));
  return items;
}

/** `value` in so many octets, the most significant first. */
export function uintBytes(value: number, octets: number): Uint8Array {
  const bytes = new Uint8Array(octets);
  writeUint(bytes, 0, value, octets);
  return bytes;
}

/** Writes `value` (below 2⁵³) at `at`, the most significant octet first. */
export function writeUint(target: Uint8Array, at: number, value: number, octets: number): void {
  let rest = value;
  for (let i = octets - 1; i >= 0; i -= 1) {
    target[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

/** The number (at most 48 bits) at `at`. */
export function readUint(bytes: Uint8Array, at: number, octets: number): number {
  let value = 0;
  for (let i = 0; i < octets; i += 1) value = value * 256 + (bytes[at + i] as number);
  return value;
}

/** The parts as a vector with its length in front. */
export function vector(lengthOctets: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return concat([uintBytes(length, lengthOctets), ...parts]);
}
