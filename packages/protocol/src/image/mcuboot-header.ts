/** The 32 octets an MCUboot image begins with. Source: MCUboot design, "Image format", `struct image_header`. */
import { PeerError, UsageError } from "../lib/errors.ts";
import type { McubootVersion } from "./version.ts";

/** First four octets of every MCUboot image, little endian as all its numbers. */
export const MCUBOOT_MAGIC = 0x96f3_b83d;
/** Octets of the header's fields. The header of an image may be longer, to align the code behind it. */
export const HEADER_FIELDS_BYTES = 32;

/** Bits of `flags`. */
export const HEADER_FLAG = {
  encryptedAes128: 0x04,
  encryptedAes256: 0x08,
  nonBootable: 0x10,
  ramLoad: 0x20,
  romFixed: 0x100,
  compressedLzma1: 0x200,
  compressedLzma2: 0x400,
} as const;

export interface McubootHeader {
  readonly loadAddress: number;
  /** Octets before the payload, 32 … 65535. */
  readonly headerSizeBytes: number;
  /** Octets of the signed TLV area, its own header included; 0 = there is none. */
  readonly protectedSizeBytes: number;
  readonly payloadSizeBytes: number;
  readonly flags: number;
  readonly version: McubootVersion;
}

/** Whether these first octets of a file are those of an MCUboot image. */
export function isMcuboot(start: Uint8Array): boolean {
  return start.length >= 4 && viewOf(start).getUint32(0, true) === MCUBOOT_MAGIC;
}

/**
 * @param bytes The first 32 octets of the image, or more.
 * @throws {PeerError} `IMAGE_TRUNCATED` below 32 octets; `IMAGE_MAGIC` when it is no MCUboot image; `IMAGE_HEADER` when
 *   a size in it cannot be.
 */
export function decodeMcubootHeader(bytes: Uint8Array): McubootHeader {
  if (bytes.length < HEADER_FIELDS_BYTES) {
    throw new PeerError("IMAGE_TRUNCATED", "the image ends inside its header", {
      neededBytes: HEADER_FIELDS_BYTES,
      sizeBytes: bytes.length,
    });
  }
  const view = viewOf(bytes);
  if (!isMcuboot(bytes)) throw new PeerError("IMAGE_MAGIC", "not an MCUboot image", { magic: view.getUint32(0, true) });
  const header = {
    loadAddress: view.getUint32(4, true),
    headerSizeBytes: view.getUint16(8, true),
    protectedSizeBytes: view.getUint16(10, true),
    payloadSizeBytes: view.getUint32(12, true),
    flags: view.getUint32(16, true),
    version: decodeVersion(view, 20),
  };
  if (header.headerSizeBytes < HEADER_FIELDS_BYTES) {
    throw new PeerError("IMAGE_HEADER", "the header is smaller than its fields", { ...header });
  }
  return header;
}

/**
 * The whole header, `headerSizeBytes` long; what is behind the fields has the value of erased flash, 0xff.
 *
 * @throws {UsageError} `IMAGE_HEADER` when a number does not fit into its field.
 */
export function encodeMcubootHeader(header: McubootHeader): Uint8Array {
  if (
    !isWithin(header.headerSizeBytes, HEADER_FIELDS_BYTES, 0xffff) ||
    !isWithin(header.payloadSizeBytes, 0, 0xffff_ffff) ||
    !isWithin(header.protectedSizeBytes, 0, 0xffff) ||
    !isWithin(header.loadAddress, 0, 0xffff_ffff)
  ) {
    throw new UsageError("IMAGE_HEADER", "a number of the header does not fit into its field", { ...header });
  }
  const bytes = new Uint8Array(header.headerSizeBytes).fill(0xff, HEADER_FIELDS_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MCUBOOT_MAGIC, true);
  view.setUint32(4, header.loadAddress, true);
  view.setUint16(8, header.headerSizeBytes, true);
  view.setUint16(10, header.protectedSizeBytes, true);
  view.setUint32(12, header.payloadSizeBytes, true);
  view.setUint32(16, header.flags, true);
  encodeVersion(view, 20, header.version);
  return bytes;
}

/** The 8 octets of a version at `offset`. */
export function decodeVersion(view: DataView, offset: number): McubootVersion {
  return {
    major: view.getUint8(offset),
    minor: view.getUint8(offset + 1),
    revision: view.getUint16(offset + 2, true),
    build: view.getUint32(offset + 4, true),
  };
}

/**
 * Writes the 8 octets of a version at `offset`.
 *
 * @throws {UsageError} `VERSION_RANGE` when a number does not fit into its field.
 */
export function encodeVersion(view: DataView, offset: number, version: McubootVersion): void {
  const { major, minor, revision, build } = version;
  const fits = isWithin(major, 0, 0xff) && isWithin(minor, 0, 0xff) && isWithin(revision, 0, 0xffff);
  if (!fits || !isWithin(build, 0, 0xffff_ffff)) {
    throw new UsageError("VERSION_RANGE", "a number of the version is too large for MCUboot", { ...version });
  }
  view.setUint8(offset, major);
  view.setUint8(offset + 1, minor);
  view.setUint16(offset + 2, revision, true);
  view.setUint32(offset + 4, build, true);
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
