/** Whether payloads and images are what a manifest, Begin and End say they are. */
import { equalBytes } from "../lib/bytes.ts";
import { crc32 } from "./crc32.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import { BLOCK_DIGEST_BYTES, blockDigestOf, type Manifest, seqsOfBlock } from "./manifest.ts";
import { REPAIR_SCHEME, type RepairScheme } from "./messages.ts";

/** What a content is, from Begin, End or the manifest. */
export interface ContentProfile {
  readonly lengthBytes: number;
  /** Not in a manifest, which has better. */
  readonly crc32?: number;
  readonly dataCount: number;
  readonly chunkBytes: number;
  readonly repairScheme: RepairScheme;
}

/** What proves a content: nothing is believed that contradicts it. */
export interface ContentProof {
  /** The first 16 octets, or all 32, of the plain image's SHA-256. */
  readonly imageDigest?: Uint8Array;
  /** 16 octets for each block, from a verified manifest. */
  readonly blockDigests?: Uint8Array;
}

/** What a verified manifest says of a content. */
export interface ExpectedContent extends ContentProof {
  readonly profile: ContentProfile;
  /** Milliseconds between the beginnings of two packets. */
  readonly gapMs?: number;
}

/** A receiver's view of a manifest that was verified. The parity's rows are the default ones until End says otherwise. */
export function expectedContentOf(manifest: Manifest): ExpectedContent {
  const { lengthBytes, dataCount, chunkBytes, imageDigest, blockDigests, gapMs } = manifest;
  const profile = { lengthBytes, dataCount, chunkBytes, repairScheme: REPAIR_SCHEME.hashedRows };
  return { profile, imageDigest, blockDigests, gapMs };
}

/** What is to be proven, and with what. */
export interface ProofContext {
  readonly profile: ContentProfile;
  readonly proof: ContentProof;
  readonly crypto: ZmeshCrypto;
}

/** The octets of a chunk; they may be in a buffer that is used again. */
export type ChunkReader = (chunk: number) => Uint8Array;

/** Whether a block of payloads, as they travelled, has its digest. `true` when there are no digests. */
export function isBlockProven(
  { profile, proof, crypto }: ProofContext,
  block: number,
  payloadOf: ChunkReader,
): boolean {
  const { blockDigests } = proof;
  if (blockDigests === undefined) return true;
  const [first, last] = seqsOfBlock(block, profile.dataCount);
  const digest = blockDigests.subarray(block * BLOCK_DIGEST_BYTES, (block + 1) * BLOCK_DIGEST_BYTES);
  return equalBytes(blockDigestOf(read(payloadOf, first, last), crypto), digest);
}

/** Whether the plain chunks make up the image of which CRC32 and digest are known. */
export function isImageProven({ profile, proof, crypto }: ProofContext, plainOf: ChunkReader): boolean {
  const { lengthBytes, dataCount, chunkBytes } = profile;
  let sum = 0;
  const partOf = (chunk: number): Uint8Array => {
    const part = plainOf(chunk).subarray(0, lengthBytes - (chunk - 1) * chunkBytes);
    sum = crc32(part, sum);
    return part;
  };
  const digest = crypto.sha256Of(read(partOf, 1, dataCount));
  if (profile.crc32 !== undefined && sum !== profile.crc32) return false;
  const { imageDigest } = proof;
  return imageDigest === undefined || equalBytes(digest.subarray(0, imageDigest.length), imageDigest);
}

/** One chunk at a time: an image is larger than a device's memory. */
function* read(octetsOf: ChunkReader, first: number, last: number): Generator<Uint8Array> {
  for (let chunk = first; chunk <= last; chunk += 1) yield octetsOf(chunk);
}
