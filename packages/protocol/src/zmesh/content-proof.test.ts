import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { isBlockProven, isImageProven } from "./content-proof.ts";
import { crc32 } from "./crc32.ts";
import { BLOCK_PAYLOADS, blockCountOf, blockDigestOf } from "./manifest.ts";

/** The largest content that a manifest has room for, and more. */
const CHUNKS = 400_000;
const CHUNK_BYTES = 16;
const image = Uint8Array.from({ length: CHUNKS * CHUNK_BYTES - 5 }, (_, i) => i >>> 4);
const profile = {
  lengthBytes: image.length,
  crc32: crc32(image),
  dataCount: CHUNKS,
  chunkBytes: CHUNK_BYTES,
  repairScheme: 2,
} as const;

/** As flash is read: always into the same buffer. */
const buffer = new Uint8Array(CHUNK_BYTES);
function chunkOf(chunk: number): Uint8Array {
  buffer.fill(0xff).set(image.subarray((chunk - 1) * CHUNK_BYTES, chunk * CHUNK_BYTES));
  return buffer;
}

test("§1: a large image is proven chunk by chunk, by CRC32 and by the digest of End or the manifest", () => {
  const digest = zmeshCrypto.sha256(image);
  for (const imageDigest of [digest, digest.subarray(0, 16)]) {
    assert.ok(isImageProven({ profile, proof: { imageDigest }, crypto: zmeshCrypto }, chunkOf));
    const wrong = imageDigest.map((octet, i) => (i === 0 ? octet ^ 1 : octet));
    assert.ok(!isImageProven({ profile, proof: { imageDigest: wrong }, crypto: zmeshCrypto }, chunkOf));
  }
  const other = { ...profile, crc32: profile.crc32 ^ 1 };
  assert.ok(!isImageProven({ profile: other, proof: {}, crypto: zmeshCrypto }, chunkOf));
});

test("§6: each block has its own digest, the last one is shorter", () => {
  const dataCount = BLOCK_PAYLOADS + 3;
  const small = { ...profile, dataCount };
  const payloads = Array.from({ length: dataCount }, (_, i) => chunkOf(i + 1).slice());
  const digests = [payloads.slice(0, BLOCK_PAYLOADS), payloads.slice(BLOCK_PAYLOADS)].map((each) =>
    blockDigestOf(each, zmeshCrypto),
  );
  const blockDigests = Uint8Array.from(digests.flatMap((digest) => [...digest]));
  const context = { profile: small, proof: { blockDigests }, crypto: zmeshCrypto };
  for (let block = 0; block < blockCountOf(dataCount); block += 1) {
    assert.ok(isBlockProven(context, block, chunkOf));
    const forged = (chunk: number) => (chunk === block * BLOCK_PAYLOADS + 2 ? new Uint8Array(16) : chunkOf(chunk));
    assert.ok(!isBlockProven(context, block, forged));
  }
});
