/** Unsigned big-endian numbers of one to six octets, the only kind Z-Mesh has; and fields of a fixed length. */
import { PeerError, UsageError } from "../lib/errors.ts";

/** Writes fields one after the other into a message of a length known before. */
export class FieldWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
  }

  /** @throws {UsageError} `ZMESH_FIELD` when `value` is no whole number that fits into `widthBytes` (1 … 6). */
  uint(field: string, value: number, widthBytes: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** widthBytes)
      throw new UsageError("ZMESH_FIELD", `${field} does not fit into ${widthBytes} bytes`, { field, value });
    let rest = value;
    for (let place = this.#at + widthBytes - 1; place >= this.#at; place -= 1) {
      this.bytes[place] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.#at += widthBytes;
    return this;
  }

  /** @throws {UsageError} `ZMESH_FIELD` when `value` has not exactly `sizeBytes` octets. */
  octets(field: string, value: Uint8Array, sizeBytes: number): this {
    if (value.length !== sizeBytes)
      throw new UsageError("ZMESH_FIELD", `${field} has ${sizeBytes} bytes`, { field, sizeBytes: value.length });
    this.bytes.set(value, this.#at);
    this.#at += sizeBytes;
    return this;
  }
}

/** Reads fields one after the other; octets are copies, so that a receive buffer may be used again. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  uint(widthBytes: number): number {
    const value = readUint(this.#bytes, this.#at, widthBytes);
    this.#at += widthBytes;
    return value;
  }

  octets(sizeBytes: number): Uint8Array<ArrayBuffer> {
    this.#at += sizeBytes;
    return new Uint8Array(this.#bytes.subarray(this.#at - sizeBytes, this.#at));
  }
}

/** The number in `widthBytes` (1 … 6) octets from `at` on. */
export function readUint(bytes: Uint8Array, at: number, widthBytes: number): number {
  let value = 0;
  for (let place = at; place < at + widthBytes; place += 1) value = value * 256 + (bytes[place] ?? 0);
  return value;
}

/** `value` in `widthBytes` octets. @throws {UsageError} `ZMESH_FIELD` */
export function uintBytes(field: string, value: number, widthBytes: number): Uint8Array<ArrayBuffer> {
  return new FieldWriter(widthBytes).uint(field, value, widthBytes).bytes;
}

/** A message is as long as its format says, or it is refused. @throws {PeerError} `code` */
export function assertLength(bytes: Uint8Array, expectedBytes: number, code: string): void {
  if (bytes.length !== expectedBytes)
    throw new PeerError(code, `has ${bytes.length} bytes and not ${expectedBytes}`, {
      sizeBytes: bytes.length,
      expectedBytes,
    });
}
