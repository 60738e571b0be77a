/** The TLV areas behind an MCUboot payload. Source: MCUboot design, "Image format"; `bootutil/image.h`. */
import { concat } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";

/** Octets of an area's header (magic, size) and of each record's (type, length). All numbers are little endian. */
export const TLV_HEADER_BYTES = 4;
/** The most octets one area can have: its size is 16 bits and includes its header. */
export const LARGEST_TLV_AREA_BYTES = 0xffff;

/** What an area's first two octets say. */
export const TLV_MAGIC = { plain: 0x6907, protected: 0x6908 } as const;

/** Record types. Types 0x00a0 … 0xfffe with an upper octet are a vendor's own. */
export const TLV = {
  keyHash: 0x01,
  publicKey: 0x02,
  sha256: 0x10,
  sha384: 0x11,
  sha512: 0x12,
  rsa2048: 0x20,
  ecdsa: 0x22,
  rsa3072: 0x23,
  ed25519: 0x24,
  signaturePure: 0x25,
  encryptedKeyRsa2048: 0x30,
  encryptedKeyAesKw: 0x31,
  encryptedKeyEc256: 0x32,
  encryptedKeyX25519: 0x33,
  encryptedKeyX25519Sha512: 0x34,
  dependency: 0x40,
  securityCounter: 0x50,
  bootRecord: 0x60,
  vendorId: 0x74,
  classId: 0x75,
} as const;

/** The only types that may stand outside the signature: what proves the image, and the keys it is encrypted with. */
const UNPROTECTED: ReadonlySet<number> = new Set([
  TLV.keyHash,
  TLV.publicKey,
  TLV.sha256,
  TLV.sha384,
  TLV.sha512,
  TLV.rsa2048,
  TLV.ecdsa,
  TLV.rsa3072,
  TLV.ed25519,
  TLV.signaturePure,
  TLV.encryptedKeyRsa2048,
  TLV.encryptedKeyAesKw,
  TLV.encryptedKeyEc256,
  TLV.encryptedKeyX25519,
  TLV.encryptedKeyX25519Sha512,
]);

/** One record; `value` is a view of what was decoded. */
export interface TlvRecord {
  readonly type: number;
  readonly value: Uint8Array;
}

/** What lies behind the payload. */
export interface TlvAreas {
  /** Signed records; empty when there is no such area. */
  readonly protected: readonly TlvRecord[];
  readonly plain: readonly TlvRecord[];
  /** Octets of both areas, headers included. */
  readonly sizeBytes: number;
}

/**
 * Reads both areas from the octets behind the payload; what follows them is not looked at.
 *
 * @param protectedSizeBytes What the image header says: 0 = there is no protected area.
 * @throws {PeerError} `IMAGE_TRUNCATED` when `tail` ends inside an area. `IMAGE_TLV` when an area's magic or size is
 *   wrong, records do not fill it exactly, or a record stands on the wrong side of the signature.
 */
export function decodeTlvAreas(tail: Uint8Array, protectedSizeBytes: number): TlvAreas {
  const signed = protectedSizeBytes === 0 ? [] : decodeArea(tail, TLV_MAGIC.protected, protectedSizeBytes);
  const rest = tail.subarray(protectedSizeBytes);
  const plain = decodeArea(rest, TLV_MAGIC.plain, undefined);
  for (const { type } of plain) {
    // An attacker can add records here, so nothing that steers the device may be taken from this area (CVE-2024-32883).
    if (!UNPROTECTED.has(type)) throw new PeerError("IMAGE_TLV", "this record must be signed", { type });
  }
  for (const { type } of signed) {
    if (UNPROTECTED.has(type)) throw new PeerError("IMAGE_TLV", "this record cannot be in the signed area", { type });
  }
  return { protected: signed, plain, sizeBytes: protectedSizeBytes + viewOf(rest).getUint16(2, true) };
}

/**
 * One area: its header and `records` in order.
 *
 * @throws {UsageError} `IMAGE_TLV_SIZE` when the area would exceed 65535 octets.
 */
export function encodeTlvArea(magic: number, records: readonly TlvRecord[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let sizeBytes = TLV_HEADER_BYTES;
  for (const { type, value } of records) {
    parts.push(pair(type, value.length), value);
    sizeBytes += TLV_HEADER_BYTES + value.length;
  }
  if (sizeBytes > LARGEST_TLV_AREA_BYTES) {
    throw new UsageError("IMAGE_TLV_SIZE", "the records do not fit into one area", { sizeBytes });
  }
  return concat([pair(magic, sizeBytes), ...parts]);
}

function decodeArea(bytes: Uint8Array, magic: number, expectedSizeBytes: number | undefined): TlvRecord[] {
  const view = viewOf(bytes);
  if (bytes.length < TLV_HEADER_BYTES) throw cutShort(bytes, TLV_HEADER_BYTES);
  if (view.getUint16(0, true) !== magic) {
    throw new PeerError("IMAGE_TLV", "no TLV area where one has to begin", { magic: view.getUint16(0, true) });
  }
  const sizeBytes = view.getUint16(2, true);
  if (sizeBytes < TLV_HEADER_BYTES || sizeBytes !== (expectedSizeBytes ?? sizeBytes)) {
    throw new PeerError("IMAGE_TLV", "the size of a TLV area is wrong", { sizeBytes, expectedSizeBytes });
  }
  if (bytes.length < sizeBytes) throw cutShort(bytes, sizeBytes);
  const records: TlvRecord[] = [];
  for (let offset = TLV_HEADER_BYTES; offset < sizeBytes; ) {
    const start = offset + TLV_HEADER_BYTES;
    const end = start <= sizeBytes ? start + view.getUint16(offset + 2, true) : start;
    if (end > sizeBytes) throw new PeerError("IMAGE_TLV", "a record reaches beyond its area", { offset, sizeBytes });
    records.push({ type: view.getUint16(offset, true), value: bytes.subarray(start, end) });
    offset = end;
  }
  return records;
}

function cutShort(bytes: Uint8Array, neededBytes: number): PeerError {
  return new PeerError("IMAGE_TRUNCATED", "the image ends inside a TLV area", { neededBytes, sizeBytes: bytes.length });
}

function pair(first: number, second: number): Uint8Array {
  const bytes = new Uint8Array(TLV_HEADER_BYTES);
  viewOf(bytes).setUint16(0, first, true);
  viewOf(bytes).setUint16(2, second, true);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
