/** The message as it travels in a stream: a length in front instead of type and Message ID (RFC 8323 §3.2). */
import { EMPTY } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { inOrder, optionsLength, readOptions, writeOptions } from "./message.ts";
import type { CoapOption } from "./options.ts";

export interface TcpMessage {
  /** One octet, class and detail; see `CODE`, `METHOD` and `SIGNAL`. */
  readonly code: number;
  /** 0 … 8 octets. */
  readonly token: Uint8Array;
  readonly options: readonly CoapOption[];
  /** Empty when there is none. */
  readonly payload: Uint8Array;
}

const PAYLOAD_MARKER = 0xff;
const MAX_TOKEN_BYTES = 8;

/** Where the lengths begin that 1, 2 or 4 extra octets tell; below 13 the nibble is the length. */
const ONE_FROM = 13;
const TWO_FROM = 269;
const FOUR_FROM = 65_805;

/** First octet, extended length, code: what has to be read to know how long a message is, and its kind. */
export const MAX_HEADER_BYTES = 6;

/**
 * The octets of a message, in memory of their own. Options may be given in any order; those of one number keep theirs.
 *
 * @throws {UsageError} `COAP_TOKEN` when the token is longer than 8 octets, `COAP_OPTION` as `encodeMessage`.
 */
export function encodeTcpMessage(message: TcpMessage): Uint8Array<ArrayBuffer> {
  const { code, token, payload } = message;
  if (token.length > MAX_TOKEN_BYTES) throw new UsageError("COAP_TOKEN", "a token has at most 8 octets");
  const options = inOrder(message.options);
  const length = optionsLength(options) + (payload.length === 0 ? 0 : 1 + payload.length);
  const extraBytes = lengthBytes(length);
  const bytes = new Uint8Array(2 + extraBytes + token.length + length);
  bytes[0] = (lengthNibble(length) << 4) | token.length;
  writeLength(bytes, length, extraBytes);
  bytes[1 + extraBytes] = code;
  bytes.set(token, 2 + extraBytes);
  const end = writeOptions(bytes, 2 + extraBytes + token.length, options);
  if (payload.length > 0) {
    bytes[end] = PAYLOAD_MARKER;
    bytes.set(payload, end + 1);
  }
  return bytes;
}

/** Octets that `encodeTcpMessage` makes of a message. @throws {UsageError} `COAP_OPTION` */
export function tcpMessageLength({ token, options, payload }: Omit<TcpMessage, "code">): number {
  const length = optionsLength(inOrder(options)) + (payload.length === 0 ? 0 : 1 + payload.length);
  return 2 + lengthBytes(length) + token.length + length;
}

/**
 * How many octets the message has that begins at `start`; `undefined` when too few are there to know.
 *
 * @throws {PeerError} `COAP_FORMAT` when the token length is reserved.
 */
export function peekTcpLength(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (start >= end) return undefined;
  const first = bytes[start] as number;
  const tokenLength = first & 0x0f;
  if (tokenLength > MAX_TOKEN_BYTES) throw formatError("token length is reserved");
  const nibble = first >> 4;
  const extraBytes = nibbleBytes(nibble);
  if (start + 1 + extraBytes > end) return undefined;
  return 2 + extraBytes + tokenLength + readLength(bytes, start + 1, nibble);
}

/**
 * Reads one whole message; token, option values and payload are views of it.
 *
 * @throws {PeerError} `COAP_FORMAT`, also when `bytes` is not exactly one message.
 * @see RFC 8323 §3.2, §3.3
 */
export function decodeTcpMessage(bytes: Uint8Array): TcpMessage {
  if (peekTcpLength(bytes, 0, bytes.length) !== bytes.length) throw formatError("not as long as it says");
  const first = bytes[0] as number;
  const codeAt = 1 + nibbleBytes(first >> 4);
  const optionsAt = codeAt + 1 + (first & 0x0f);
  const code = bytes[codeAt] as number;
  const token = optionsAt === codeAt + 1 ? EMPTY : bytes.subarray(codeAt + 1, optionsAt);
  const { options, payloadAt } = readOptions(bytes, optionsAt);
  if (payloadAt === bytes.length) return { code, token, options, payload: EMPTY };
  if (payloadAt + 1 === bytes.length) throw formatError("payload marker without payload");
  return { code, token, options, payload: bytes.subarray(payloadAt + 1) };
}

const formatError = (what: string): PeerError => new PeerError("COAP_FORMAT", what);

const nibbleBytes = (nibble: number): number => (nibble < 13 ? 0 : nibble === 15 ? 4 : nibble - 12);

function lengthNibble(length: number): number {
  if (length < ONE_FROM) return length;
  return length < TWO_FROM ? 13 : length < FOUR_FROM ? 14 : 15;
}

const lengthBytes = (length: number): number => nibbleBytes(lengthNibble(length));

function writeLength(target: Uint8Array, length: number, extraBytes: number): void {
  if (extraBytes === 0) return;
  const rest = length - (extraBytes === 1 ? ONE_FROM : extraBytes === 2 ? TWO_FROM : FOUR_FROM);
  for (let i = 0; i < extraBytes; i += 1) target[1 + i] = rest >>> (8 * (extraBytes - 1 - i));
}

function readLength(bytes: Uint8Array, at: number, nibble: number): number {
  if (nibble < 13) return nibble;
  const extraBytes = nibbleBytes(nibble);
  let rest = 0;
  for (let i = 0; i < extraBytes; i += 1) rest = rest * 256 + (bytes[at + i] as number);
  return rest + (extraBytes === 1 ? ONE_FROM : extraBytes === 2 ? TWO_FROM : FOUR_FROM);
}
