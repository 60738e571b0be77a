/** Handshake messages and their fragments (RFC 6347 §4.2.2, §4.2.3). */
import { PeerError } from "../lib/errors.ts";
import { OctetReader, writeUint } from "./octets.ts";

/** @see RFC 5246 §7.4, RFC 6347 §4.3.2 */
export const HANDSHAKE_TYPE = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
} as const;

/** Type, length, message number, offset and length of the fragment. */
export const HANDSHAKE_HEADER_BYTES = 12;

/** A whole message. */
export interface HandshakeMessage {
  /** See `HANDSHAKE_TYPE`. */
  readonly type: number;
  /** message_seq */
  readonly number: number;
  readonly body: Uint8Array;
}

/** A message or a part of one. */
export interface HandshakeFragment {
  readonly type: number;
  readonly number: number;
  /** Of the whole message's body. */
  readonly sizeBytes: number;
  readonly offset: number;
  /** A view. */
  readonly bytes: Uint8Array;
}

/** The message with its header, as one fragment; also the form that is hashed. @see RFC 6347 §4.2.6 */
export function encodeHandshake({ type, number, body }: HandshakeMessage): Uint8Array {
  return encodeFragment({ type, number, sizeBytes: body.length, offset: 0, bytes: body });
}

export function encodeFragment({ type, number, sizeBytes, offset, bytes }: HandshakeFragment): Uint8Array {
  const encoded = new Uint8Array(HANDSHAKE_HEADER_BYTES + bytes.length);
  encoded[0] = type;
  writeUint(encoded, 1, sizeBytes, 3);
  writeUint(encoded, 4, number, 2);
  writeUint(encoded, 6, offset, 3);
  writeUint(encoded, 9, bytes.length, 3);
  encoded.set(bytes, HANDSHAKE_HEADER_BYTES);
  return encoded;
}

/**
 * The fragments in one record: there may be several.
 *
 * @throws {PeerError} `DTLS_FORMAT`
 */
export function decodeFragments(content: Uint8Array): HandshakeFragment[] {
  const reader = new OctetReader(content);
  const fragments: HandshakeFragment[] = [];
  while (!reader.isAtEnd) {
    const type = reader.uint(1);
    const sizeBytes = reader.uint(3);
    const number = reader.uint(2);
    const offset = reader.uint(3);
    const bytes = reader.vector(3);
    if (offset + bytes.length > sizeBytes) throw new PeerError("DTLS_FORMAT", "a fragment exceeds its message");
    fragments.push({ type, number, sizeBytes, offset, bytes });
  }
  return fragments;
}
