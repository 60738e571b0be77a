/** A firmware made ready for the air: its content, and the signed manifest that travels beside it. Source: profile 3, 6. */
import type { SigningKey } from "../image/crypto-port.ts";
import { concat } from "../lib/bytes.ts";
import { UsageError } from "../lib/errors.ts";
import { isReleaseIv, manifestIv } from "./content-cipher.ts";
import { contentUri, type FirmwareIdentity, manifestUri } from "./content-name.ts";
import { KEY_BYTES, type ZmeshCrypto } from "./crypto-port.ts";
import {
  BLOCK_DIGEST_BYTES,
  blockCountOf,
  blockDigestOf,
  type Manifest,
  seqsOfBlock,
  signManifest,
} from "./manifest.ts";
import { type ContentOptions, type KeyPair, PackedContent } from "./packed-content.ts";
import { IV_BYTES } from "./schedule.ts";

export interface ReleaseInput {
  readonly identity: FirmwareIdentity;
  readonly image: Uint8Array;
  /** Given only to repeat a release whose keys are on record; by default they are drawn. */
  readonly keys?: KeyPair;
  /** Without it there is no manifest, and devices refuse the image unless they are told otherwise. */
  readonly signing?: ReleaseSigning;
}

/** What the manifest says that the image does not. */
export interface ReleaseSigning
  extends Pick<Manifest, "hardwareRevisions" | "securityCounter" | "gapMs" | "baseVersion"> {
  readonly key: SigningKey;
}

export interface Release {
  readonly image: PackedContent;
  /** Travels before the image, under its own name. */
  readonly manifest?: PackedContent;
}

/** A key and an IV that no content has had. They are never used for other bytes. */
export function drawKeys(crypto: ZmeshCrypto): KeyPair {
  const iv = crypto.randomBytes(IV_BYTES);
  iv[0] = (iv[0] ?? 0) & 0x7f;
  return { key: crypto.randomBytes(KEY_BYTES), iv };
}

/**
 * All that is sent of a release, each message made when it is asked for.
 *
 * @throws {UsageError} `RELEASE_IV` when the IV's first bit is taken, which belongs to the manifest; what `PackedContent`,
 *   `contentUri` and `signManifest` throw.
 */
export function packRelease(input: ReleaseInput, options: ContentOptions, crypto: ZmeshCrypto): Release {
  const { identity, image: bytes, keys = drawKeys(crypto), signing } = input;
  if (!isReleaseIv(keys.iv)) throw new UsageError("RELEASE_IV", "the first bit of a release's IV is 0");
  const image = new PackedContent({ uri: contentUri(identity), bytes, ...keys }, options, crypto);
  if (!signing) return { image };
  const signed = signManifest(manifestOf(image, { identity, signing }, crypto), signing.key);
  const { uri } = image;
  const manifestInput = { uri: manifestUri(uri), bytes: signed, key: keys.key, iv: manifestIv(keys.iv) };
  return { image, manifest: new PackedContent(manifestInput, { ...options, repairCount: 0 }, crypto) };
}

function manifestOf(
  image: PackedContent,
  { identity, signing }: { readonly identity: FirmwareIdentity; readonly signing: ReleaseSigning },
  crypto: ZmeshCrypto,
): Manifest {
  const { hardwareRevisions, securityCounter, gapMs, baseVersion } = signing;
  return {
    ...identity,
    hardwareRevisions,
    securityCounter,
    imageDigest: image.digest,
    lengthBytes: image.begin.lengthBytes,
    chunkBytes: image.chunkBytes,
    dataCount: image.dataCount,
    blockDigests: blockDigestsOf(image, crypto),
    gapMs,
    ...(baseVersion !== undefined && { baseVersion }),
  };
}

/** The digests of all blocks, 16 octets each, in order. */
export function blockDigestsOf(image: PackedContent, crypto: ZmeshCrypto): Uint8Array {
  const digests: Uint8Array[] = [];
  for (let block = 0; block < blockCountOf(image.dataCount); block += 1) {
    const payloads: Uint8Array[] = [];
    const [first, last] = seqsOfBlock(block, image.dataCount);
    for (let seq = first; seq <= last; seq += 1) payloads.push(image.payloadAt(seq));
    digests.push(blockDigestOf(payloads, crypto).slice(0, BLOCK_DIGEST_BYTES));
  }
  return concat(digests);
}
