/** The messages between the hellos and Finished (RFC 5246 §7.4, RFC 4279 §2, RFC 5489 §2, RFC 8422 §5, RFC 7250 §3). */
import { concat, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { GROUP_P256, SIGNATURE_ECDSA_SHA256 } from "./extensions.ts";
import { OctetReader, readAll, uintBytes, vector } from "./octets.ts";

const NAMED_CURVE = 3;
const ECDSA_SIGN = 64;

/** Longest PSK identity that is read; RFC 4279 §5.3 asks for 128 octets. */
const MAX_IDENTITY_BYTES = 256;

/** A chain, the peer's own certificate first; or one raw public key. */
export type PeerCertificate =
  | { readonly kind: "x509"; readonly chain: readonly Uint8Array[] }
  | { readonly kind: "rpk"; readonly spki: Uint8Array };

export function encodeCertificate(certificate: PeerCertificate): Uint8Array {
  if (certificate.kind === "rpk") return vector(3, certificate.spki);
  return vector(3, ...certificate.chain.map((der) => vector(3, der)));
}

/** An empty message, "I have none", is an empty chain or key. @throws {PeerError} `DTLS_FORMAT` */
export function decodeCertificate(body: Uint8Array, kind: PeerCertificate["kind"]): PeerCertificate {
  const reader = new OctetReader(body);
  const content = reader.vector(3);
  reader.end();
  if (kind === "rpk") return { kind, spki: content };
  return { kind, chain: readAll(content, (inner) => inner.vector(3)) };
}

/** The point of a key share with its curve, as it is sent and signed. @see RFC 8422 §5.4 (ServerECDHParams) */
export function encodeShare(point: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(NAMED_CURVE), uintBytes(GROUP_P256, 2), vector(1, point)]);
}

function readShare(reader: OctetReader): Uint8Array {
  if (reader.uint(1) !== NAMED_CURVE || reader.uint(2) !== GROUP_P256)
    throw new PeerError("DTLS_FORMAT", "the curve is not the one that was offered");
  return reader.vector(1);
}

export interface SignedShare {
  readonly point: Uint8Array;
  readonly signature: Uint8Array;
}

export function encodeSignedShare(point: Uint8Array, signature: Uint8Array): Uint8Array {
  return concat([encodeShare(point), encodeSignature(signature)]);
}

/** @throws {PeerError} `DTLS_FORMAT` */
export function decodeSignedShare(body: Uint8Array): SignedShare {
  const reader = new OctetReader(body);
  const point = readShare(reader);
  return { point, signature: decodeSignature(reader.rest()) };
}

/** Also the whole of CertificateVerify. */
export function encodeSignature(signature: Uint8Array): Uint8Array {
  return concat([uintBytes(SIGNATURE_ECDSA_SHA256, 2), vector(2, signature)]);
}

/** @throws {PeerError} `DTLS_FORMAT` also for an algorithm that was not offered. */
export function decodeSignature(body: Uint8Array): Uint8Array {
  const reader = new OctetReader(body);
  if (reader.uint(2) !== SIGNATURE_ECDSA_SHA256)
    throw new PeerError("DTLS_FORMAT", "the signature algorithm is not the one that was offered");
  const signature = reader.vector(2);
  reader.end();
  return signature;
}

/** ServerKeyExchange of ECDHE_PSK: hint and share. @see RFC 5489 §2 */
export function encodePskShare(point: Uint8Array): Uint8Array {
  return concat([vector(2), encodeShare(point)]);
}

/** The point of ECDHE_PSK; `undefined` for plain PSK, whose message is a hint alone. Hints are not used (RFC 4279 §5.2). */
export function decodePskHint(body: Uint8Array, hasShare: boolean): Uint8Array | undefined {
  const reader = new OctetReader(body);
  reader.vector(2);
  const point = hasShare ? readShare(reader) : undefined;
  reader.end();
  return point;
}

/** Which parts a ClientKeyExchange has, by key exchange. */
export interface ClientKeyExchange {
  readonly identity?: Uint8Array | undefined;
  readonly point?: Uint8Array | undefined;
}

export function encodeClientKeyExchange({ identity, point }: ClientKeyExchange): Uint8Array {
  return concat([...(identity ? [vector(2, identity)] : []), ...(point ? [vector(1, point)] : [])]);
}

/** @throws {PeerError} `DTLS_FORMAT` */
export function decodeClientKeyExchange(
  body: Uint8Array,
  has: { readonly identity: boolean; readonly point: boolean },
): ClientKeyExchange {
  const reader = new OctetReader(body);
  const identity = has.identity ? reader.vector(2) : undefined;
  const point = has.point ? reader.vector(1) : undefined;
  reader.end();
  if (identity && identity.length > MAX_IDENTITY_BYTES)
    throw new PeerError("DTLS_FORMAT", "the PSK identity is too long", { sizeBytes: identity.length });
  return { identity, point };
}

/** Asks for an ECDSA certificate of any authority: which ones are trusted is nobody else's business. */
export function encodeCertificateRequest(): Uint8Array {
  return concat([vector(1, Uint8Array.of(ECDSA_SIGN)), vector(2, uintBytes(SIGNATURE_ECDSA_SHA256, 2)), vector(2)]);
}

/** Whether a request can be fulfilled with an ECDSA key on P-256. @throws {PeerError} `DTLS_FORMAT` */
export function decodeCertificateRequest(body: Uint8Array): boolean {
  const reader = new OctetReader(body);
  const kinds = reader.vector(1);
  const algorithms = readAll(reader.vector(2), (inner) => inner.uint(2));
  readAll(reader.vector(2), (inner) => inner.vector(2));
  reader.end();
  return kinds.includes(ECDSA_SIGN) && algorithms.includes(SIGNATURE_ECDSA_SHA256);
}

/** A PSK identity as octets. */
export const encodeIdentity = (identity: string): Uint8Array => encodeUtf8(identity);
