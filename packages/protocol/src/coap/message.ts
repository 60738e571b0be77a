/** The message as it travels in one datagram (RFC 7252 §3). */
import { EMPTY } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import type { CoapOption } from "./options.ts";

/** @see RFC 7252 §3 (Type) */
export const MESSAGE_TYPE = { confirmable: 0, nonConfirmable: 1, acknowledgement: 2, reset: 3 } as const;

export type MessageType = 0 | 1 | 2 | 3;

export interface CoapMessage {
  readonly type: MessageType;
  /** One octet, class and detail; see `CODE` and `METHOD`. */
  readonly code: number;
  /** 0 … 65535 */
  readonly messageId: number;
  /** 0 … 8 octets. */
  readonly token: Uint8Array;
  readonly options: readonly CoapOption[];
  /** Empty when there is none: an empty payload has no form of its own. */
  readonly payload: Uint8Array;
}

const HEADER_BYTES = 4;
const PAYLOAD_MARKER = 0xff;
const MAX_TOKEN_BYTES = 8;

/**
 * The datagram of a message, in memory of its own. Options may be given in any order; those of one number keep theirs.
 *
 * @throws {UsageError} `COAP_TOKEN` when the token is longer than 8 octets, `COAP_OPTION` when a number is not within
 *   0 … 65535 or a value is longer than 65804 octets.
 */
export function encodeMessage(message: CoapMessage): Uint8Array<ArrayBuffer> {
  const { token, payload } = message;
  if (token.length > MAX_TOKEN_BYTES) throw new UsageError("COAP_TOKEN", "a token has at most 8 octets");
  const options = inOrder(message.options);
  const bodyBytes = payload.length === 0 ? 0 : 1 + payload.length;
  const datagram = new Uint8Array(HEADER_BYTES + token.length + optionsLength(options) + bodyBytes);
  datagram[0] = 0x40 | (message.type << 4) | token.length;
  datagram[1] = message.code;
  datagram[2] = message.messageId >> 8;
  datagram[3] = message.messageId;
  for (let i = 0; i < token.length; i += 1) datagram[HEADER_BYTES + i] = token[i] as number;
  const end = writeOptions(datagram, HEADER_BYTES + token.length, options);
  if (payload.length > 0) {
    datagram[end] = PAYLOAD_MARKER;
    datagram.set(payload, end + 1);
  }
  return datagram;
}

/** The four octets of an Empty message: an acknowledgement, a Reset or a ping. @see RFC 7252 §4.1 */
export function encodeEmpty(type: MessageType, messageId: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(0x40 | (type << 4), 0, messageId >> 8, messageId);
}

/**
 * Reads one datagram. Token, option values and payload are views of it.
 *
 * @throws {PeerError} `COAP_HEADER` when there is no header of version 1, so that the datagram is to be ignored;
 *   `COAP_FORMAT` for any other format error: the header can be read with `peekHeader`, to reject the message.
 * @see RFC 7252 §3, §4.2, §4.3
 */
export function decodeMessage(datagram: Uint8Array): CoapMessage {
  const header = peekHeader(datagram);
  if (header === undefined) throw new PeerError("COAP_HEADER", "no CoAP header of version 1");
  const { type, messageId } = header;
  const code = datagram[1] as number;
  const tokenLength = (datagram[0] as number) & 0x0f;
  if (tokenLength > MAX_TOKEN_BYTES) throw formatError("token length is reserved");
  if (code === 0 && datagram.length > HEADER_BYTES) throw formatError("an Empty message has octets after its header");
  const end = HEADER_BYTES + tokenLength;
  if (end > datagram.length) throw formatError("token is cut off");
  const token = tokenLength === 0 ? EMPTY : datagram.subarray(HEADER_BYTES, end);
  const { options, payloadAt } = readOptions(datagram, end);
  if (payloadAt === datagram.length) return { type, code, messageId, token, options, payload: EMPTY };
  if (payloadAt + 1 === datagram.length) throw formatError("payload marker without payload");
  return { type, code, messageId, token, options, payload: datagram.subarray(payloadAt + 1) };
}

/** Type and Message ID, if the datagram has a header of version 1; enough to answer a malformed message with a Reset. */
export function peekHeader(datagram: Uint8Array): { type: MessageType; messageId: number } | undefined {
  if (datagram.length < HEADER_BYTES) return undefined;
  const first = datagram[0] as number;
  if (first >> 6 !== 1) return undefined;
  return {
    type: ((first >> 4) & 3) as MessageType,
    messageId: ((datagram[2] as number) << 8) | (datagram[3] as number),
  };
}

const formatError = (what: string): PeerError => new PeerError("COAP_FORMAT", what);

/**
 * Reads options up to the payload marker or the end of `bytes`; also the options of CoAP over TCP (RFC 8323 §3.2).
 *
 * @returns The options (values are views) and where the payload marker stands, or `bytes.length`.
 * @throws {PeerError} `COAP_FORMAT`
 * @see RFC 7252 §3.1
 */
export function readOptions(bytes: Uint8Array, start: number): { options: CoapOption[]; payloadAt: number } {
  const options: CoapOption[] = [];
  let number = 0;
  let at = start;
  while (at < bytes.length) {
    const first = bytes[at] as number;
    if (first === PAYLOAD_MARKER) break;
    at += 1;
    let delta = first >> 4;
    let length = first & 0x0f;
    if (delta === 15 || length === 15) throw formatError("reserved option nibble");
    if (delta >= 13) {
      const wide = delta - 12;
      delta = extended(bytes, at, wide);
      at += wide;
    }
    if (length >= 13) {
      const wide = length - 12;
      length = extended(bytes, at, wide);
      at += wide;
    }
    number += delta;
    if (number > 0xffff) throw formatError("option number above 65535");
    if (at + length > bytes.length) throw formatError("option value is cut off");
    options.push({ number, value: length === 0 ? EMPTY : bytes.subarray(at, at + length) });
    at += length;
  }
  return { options, payloadAt: at };
}

function extended(bytes: Uint8Array, at: number, wide: number): number {
  if (at + wide > bytes.length) throw formatError("option header is cut off");
  const high = bytes[at] as number;
  return wide === 1 ? high + 13 : ((high << 8) | (bytes[at + 1] as number)) + 269;
}

/** `options` by ascending number; the array itself when it already is. */
export function inOrder(options: readonly CoapOption[]): readonly CoapOption[] {
  for (let i = 1; i < options.length; i += 1) {
    if ((options[i - 1] as CoapOption).number > (options[i] as CoapOption).number)
      return [...options].sort((a, b) => a.number - b.number);
  }
  return options;
}

/** Octets that `writeOptions` will write. @throws {UsageError} `COAP_OPTION` */
export function optionsLength(options: readonly CoapOption[]): number {
  let total = 0;
  let before = 0;
  for (const { number, value } of options) {
    if (!(number >= before && number <= 0xffff) || value.length > 0xffff + 269)
      throw new UsageError("COAP_OPTION", "option number or length cannot be encoded", { number });
    total += 1 + extraBytes(number - before) + extraBytes(value.length) + value.length;
    before = number;
  }
  return total;
}

/** Writes options that are `inOrder`; returns the place after them. */
export function writeOptions(target: Uint8Array, start: number, options: readonly CoapOption[]): number {
  let at = start;
  let before = 0;
  for (const { number, value } of options) {
    const delta = number - before;
    before = number;
    target[at] = (nibble(delta) << 4) | nibble(value.length);
    at = writeExtended(target, at + 1, delta);
    at = writeExtended(target, at, value.length);
    for (let i = 0; i < value.length; i += 1) target[at + i] = value[i] as number;
    at += value.length;
  }
  return at;
}

const extraBytes = (value: number): number => (value < 13 ? 0 : value < 269 ? 1 : 2);
const nibble = (value: number): number => (value < 13 ? value : value < 269 ? 13 : 14);

function writeExtended(target: Uint8Array, at: number, value: number): number {
  if (value < 13) return at;
  if (value < 269) {
    target[at] = value - 13;
    return at + 1;
  }
  target[at] = (value - 269) >> 8;
  target[at + 1] = value - 269;
  return at + 2;
}
