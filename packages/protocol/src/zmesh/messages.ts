/** The messages of one content but its data: Begin, End. Source: Z-Mesh software update, "Update Begin message"; profile 1. */
import { PeerError, UsageError } from "../lib/errors.ts";
import { LARGEST_DATA_COUNT } from "./chunking.ts";
import { assertLength, FieldReader, FieldWriter } from "./fields.ts";
import { INSTANT_BYTES } from "./instant.ts";

/** Octets in the clear; with Enc. Type 2 a tag follows. */
export const BEGIN_BYTES = 12;
export const END_BYTES = 40;
/** Octets of the image's SHA-256 that End carries. */
export const IMAGE_DIGEST_BYTES = 16;

/** Rows of parity chunks, by the number in End. */
export const REPAIR_SCHEME = { lorawanTs004: 1, hashedRows: 2 } as const;

export type RepairScheme = (typeof REPAIR_SCHEME)[keyof typeof REPAIR_SCHEME];

/** SEQ 0: what is going to come. */
export interface Begin {
  /** FW Length: octets of the image, 1 … 2³² − 1. */
  readonly lengthBytes: number;
  /** Of the plain image. */
  readonly crc32: number;
  /** FW Num packets, K: Data messages, 1 … 2²⁴ − 3. */
  readonly dataCount: number;
}

/** SEQ K + 1: says all that Begin said, so that it alone is enough. */
export interface End extends Begin {
  /** Parity chunks that follow or can be asked for, 0 … 2²⁴ − 1. */
  readonly repairCount: number;
  readonly repairScheme: RepairScheme;
  /** Unix milliseconds; `AT_ONCE` = when verified, `NEVER` = wait for the Apply command. */
  readonly applyAtMs: number;
  /** None has a meaning yet: 0 is sent, and what is received is not looked at. */
  readonly flags: number;
  /** The first 16 octets of the plain image's SHA-256. */
  readonly imageDigest: Uint8Array;
}

/** 12 octets. @throws {UsageError} `ZMESH_FIELD`, `NUM_PACKETS` */
export function encodeBegin(begin: Begin): Uint8Array<ArrayBuffer> {
  return writeBegin(new FieldWriter(BEGIN_BYTES), begin).bytes;
}

/** @throws {PeerError} `BEGIN_LENGTH`; `NUM_PACKETS` when a number cannot be. */
export function decodeBegin(bytes: Uint8Array): Begin {
  assertLength(bytes, BEGIN_BYTES, "BEGIN_LENGTH");
  return readBegin(new FieldReader(bytes));
}

/** 40 octets. @throws {UsageError} `ZMESH_FIELD`, `NUM_PACKETS` */
export function encodeEnd(end: End): Uint8Array<ArrayBuffer> {
  return writeBegin(new FieldWriter(END_BYTES), end)
    .uint("repair count", end.repairCount, 3)
    .uint("repair scheme", end.repairScheme, 1)
    .uint("Apply Time", end.applyAtMs, INSTANT_BYTES)
    .uint("flags", end.flags, 2)
    .octets("image digest", end.imageDigest, IMAGE_DIGEST_BYTES).bytes;
}

/** @throws {PeerError} `END_LENGTH`; `NUM_PACKETS` when a number cannot be; `REPAIR_SCHEME` when nobody knows it. */
export function decodeEnd(bytes: Uint8Array): End {
  assertLength(bytes, END_BYTES, "END_LENGTH");
  const reader = new FieldReader(bytes);
  const begin = readBegin(reader);
  const repairCount = reader.uint(3);
  const repairScheme = reader.uint(1);
  if (!isRepairScheme(repairScheme)) throw new PeerError("REPAIR_SCHEME", "no such repair scheme", { repairScheme });
  return {
    ...begin,
    repairCount,
    repairScheme,
    applyAtMs: reader.uint(INSTANT_BYTES),
    flags: reader.uint(2),
    imageDigest: reader.octets(IMAGE_DIGEST_BYTES),
  };
}

function isRepairScheme(value: number): value is RepairScheme {
  return value === REPAIR_SCHEME.lorawanTs004 || value === REPAIR_SCHEME.hashedRows;
}

function writeBegin(writer: FieldWriter, { lengthBytes, crc32, dataCount }: Begin): FieldWriter {
  if (!isPossible(lengthBytes, dataCount))
    throw new UsageError("NUM_PACKETS", "no such number of packets", { lengthBytes, dataCount });
  return writer.uint("FW Length", lengthBytes, 4).uint("FW CRC32", crc32, 4).uint("FW Num packets", dataCount, 4);
}

function readBegin(reader: FieldReader): Begin {
  const begin = { lengthBytes: reader.uint(4), crc32: reader.uint(4), dataCount: reader.uint(4) };
  if (!isPossible(begin.lengthBytes, begin.dataCount))
    throw new PeerError("NUM_PACKETS", "no such number of packets", { ...begin });
  return begin;
}

/** What holds whatever the chunk is; the receiver that knows its MTU checks more with `chunkBytesOf`. */
function isPossible(lengthBytes: number, dataCount: number): boolean {
  return dataCount > 0 && dataCount <= LARGEST_DATA_COUNT && lengthBytes >= dataCount;
}
