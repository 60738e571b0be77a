/**
 * What the maker of a firmware says of it, signed: for which devices it is, and the digest of each block of packets, so that
 * a forged packet costs one block and not the image. Source: profile 6.
 */
import type { SigningKey } from "../image/crypto-port.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { dataCountOf, LARGEST_DATA_COUNT } from "./chunking.ts";
import { decodeItem, encodeItem, type Item, type Sign1Trust, signSign1, verifySign1 } from "./cose.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";

/** Data messages whose ciphertext payloads share a digest. */
export const BLOCK_PAYLOADS = 64;
/** Octets of a block's SHA-256 that are kept. */
export const BLOCK_DIGEST_BYTES = 16;
/** The largest manifest a device takes: digests of 250 000 packets, 12 MB at the default MTU. */
export const LARGEST_MANIFEST_BYTES = 65_536;
/** Bounds of the texts in it. */
export const LARGEST_TEXT_CHARS = 128;
export const LARGEST_HARDWARE_COUNT = 32;

/** Octets are views of what was decoded. */
export interface Manifest {
  readonly manufacturer: string;
  readonly model: string;
  /** Hardware the firmware runs on; empty = any. */
  readonly hardwareRevisions: readonly string[];
  readonly version: string;
  /** 0 … 2³² − 1. No device goes below the one it has confirmed. */
  readonly securityCounter: number;
  /** SHA-256 of the plain image, 32 octets. */
  readonly imageDigest: Uint8Array;
  readonly lengthBytes: number;
  /** Octets of the image in one packet. */
  readonly chunkBytes: number;
  /** K. */
  readonly dataCount: number;
  /** 16 octets for each block, the first 16 of SHA-256 over its ciphertext payloads, tags included. */
  readonly blockDigests: Uint8Array;
  /** Announced time between two packets; a receiver may sleep so long. */
  readonly gapMs: number;
  /** The version a delta starts from; absent for a whole image. */
  readonly baseVersion?: string;
}

/** The payload that is signed: a map by number. @throws {UsageError} `MANIFEST` when a value is out of its bounds. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const complaint = complaintOf(manifest);
  if (complaint) throw new UsageError("MANIFEST", complaint);
  const items: [number, Item][] = FIELDS.flatMap((field, place): [number, Item][] => {
    const value = manifest[field];
    return value === undefined ? [] : [[place + 1, value]];
  });
  return encodeItem(new Map(items));
}

/** @throws {PeerError} `MANIFEST_FORMAT` when it is not exactly what `encodeManifest` writes. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > LARGEST_MANIFEST_BYTES)
    throw new PeerError("MANIFEST_FORMAT", "too large", { sizeBytes: bytes.length });
  const map = decodeItem(bytes, "MANIFEST_FORMAT");
  if (!(map instanceof Map)) throw new PeerError("MANIFEST_FORMAT", "not a map");
  const fields: Partial<Record<keyof Manifest, Item>> = {};
  for (const [key, item] of map) {
    const field = typeof key === "number" ? FIELDS[key - 1] : undefined;
    if (field === undefined) throw new PeerError("MANIFEST_FORMAT", "no such field", { key });
    fields[field] = item;
  }
  const complaint = complaintOf(fields);
  if (complaint) throw new PeerError("MANIFEST_FORMAT", complaint);
  return fields as unknown as Manifest;
}

/** The bytes that travel as content. @throws {UsageError} `MANIFEST`, `KEY_KIND`, `MANIFEST_SIZE` */
export function signManifest(manifest: Manifest, key: SigningKey): Uint8Array {
  const bytes = signSign1(encodeManifest(manifest), key);
  if (bytes.length > LARGEST_MANIFEST_BYTES)
    throw new UsageError("MANIFEST_SIZE", "the image has more blocks than a manifest can hold", {
      sizeBytes: bytes.length,
    });
  return bytes;
}

/**
 * The manifest, if somebody trusted signed it.
 *
 * @throws {PeerError} `MANIFEST_FORMAT` and what `verifySign1` throws.
 */
export function verifyManifest(bytes: Uint8Array, trust: Sign1Trust): Manifest {
  if (bytes.length > LARGEST_MANIFEST_BYTES)
    throw new PeerError("MANIFEST_FORMAT", "too large", { sizeBytes: bytes.length });
  return decodeManifest(verifySign1(bytes, trust).payload);
}

/** Blocks of a content with this many packets. */
export const blockCountOf = (dataCount: number): number => Math.ceil(dataCount / BLOCK_PAYLOADS);

/** The block that the packet belongs to, 0 … @param seq 1 … K. */
export const blockOfSeq = (seq: number): number => Math.floor((seq - 1) / BLOCK_PAYLOADS);

/** First and last SEQ of a block. */
export function seqsOfBlock(block: number, dataCount: number): readonly [first: number, last: number] {
  return [block * BLOCK_PAYLOADS + 1, Math.min(dataCount, (block + 1) * BLOCK_PAYLOADS)];
}

/** The digest of one block, 16 octets. @param payloads Ciphertext payloads in the order of SEQ, tags included; they may share a buffer. */
export function blockDigestOf(payloads: Iterable<Uint8Array>, crypto: ZmeshCrypto): Uint8Array {
  return crypto.sha256Of(payloads).subarray(0, BLOCK_DIGEST_BYTES);
}

/** Whether these payloads are the ones that were signed. @param payloads All of the block, in the order of SEQ. */
export function isBlockGenuine(
  manifest: Manifest,
  { block, payloads }: { readonly block: number; readonly payloads: readonly Uint8Array[] },
  crypto: ZmeshCrypto,
): boolean {
  const at = block * BLOCK_DIGEST_BYTES;
  const expected = manifest.blockDigests.subarray(at, at + BLOCK_DIGEST_BYTES);
  return crypto.isSameTag(expected, blockDigestOf(payloads, crypto));
}

/** In the order of their numbers, which begin with 1. */
const FIELDS = [
  "manufacturer",
  "model",
  "hardwareRevisions",
  "version",
  "securityCounter",
  "imageDigest",
  "lengthBytes",
  "chunkBytes",
  "dataCount",
  "blockDigests",
  "gapMs",
  "baseVersion",
] as const satisfies readonly (keyof Manifest)[];

/** What is wrong with these values, if something is. */
function complaintOf(fields: Partial<Record<keyof Manifest, unknown>>): string | undefined {
  const { hardwareRevisions, lengthBytes, chunkBytes, dataCount, blockDigests, baseVersion } = fields;
  const texts = [
    fields.manufacturer,
    fields.model,
    fields.version,
    ...(baseVersion === undefined ? [] : [baseVersion]),
  ];
  if (!texts.every(isText)) return "a text is missing, empty or too long";
  const isHardware = Array.isArray(hardwareRevisions) && hardwareRevisions.every(isText);
  if (!isHardware || hardwareRevisions.length > LARGEST_HARDWARE_COUNT) return "hardware revisions are a list of texts";
  if (!isUint(fields.securityCounter, 2 ** 32 - 1)) return "the security counter has 32 bits";
  if (!isUint(fields.gapMs, 2 ** 32 - 1)) return "the gap has 32 bits";
  if (!isOctets(fields.imageDigest, 32)) return "the image's digest has 32 bytes";
  if (!isUint(lengthBytes, 2 ** 32 - 1) || lengthBytes === 0) return "the length has 32 bits and is not 0";
  if (!isUint(chunkBytes, 1024) || chunkBytes === 0 || chunkBytes % 8 !== 0) return "no such chunk";
  if (!isUint(dataCount, LARGEST_DATA_COUNT) || dataCountOf(lengthBytes, chunkBytes) !== dataCount)
    return "the length does not make this many packets";
  if (!isOctets(blockDigests, BLOCK_DIGEST_BYTES * blockCountOf(dataCount))) return "one digest for each block";
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= LARGEST_TEXT_CHARS;
}

function isUint(value: unknown, largest: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= largest;
}

function isOctets(value: unknown, sizeBytes: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === sizeBytes;
}
