/** Makes MCUboot images from raw payloads, as MCUboot's own imgtool does. */
import { concat } from "../lib/bytes.ts";
import { UsageError } from "../lib/errors.ts";
import { type HashAlgorithm, hashOf, type ImageCrypto, type KeyKind, type SigningKey } from "./crypto-port.ts";
import type { ImageDependency } from "./mcuboot.ts";
import { encodeMcubootHeader, encodeVersion, HEADER_FIELDS_BYTES } from "./mcuboot-header.ts";
import { encodeTlvArea, TLV, TLV_MAGIC, type TlvRecord } from "./tlv.ts";
import type { McubootVersion } from "./version.ts";

export interface McubootImageOptions {
  readonly version: McubootVersion;
  /** Octets before the payload, 32 … 65535, default 32. A bare-metal image takes what aligns its vector table. */
  readonly headerSizeBytes?: number;
  /** 0 … 2³² − 1. */
  readonly securityCounter?: number;
  readonly dependencies?: readonly ImageDependency[];
  /** UUIDs of 16 octets each. */
  readonly vendorId?: Uint8Array;
  readonly classId?: Uint8Array;
  /** Default: what the kind of key takes, SHA-256 when unsigned. Only Ed25519 and no key leave a choice. */
  readonly hash?: HashAlgorithm;
}

export interface Signing {
  readonly crypto: ImageCrypto;
  /** Absent: the image gets a digest but no signature. */
  readonly key?: SigningKey;
}

/** An image in the making. The whole of it is `header`, then the payload, then what `finish` returns. */
export interface McubootImageMaker {
  readonly header: Uint8Array;
  /** Feeds the payload, in order, in pieces of any size. */
  update(payload: Uint8Array): void;
  /**
   * What follows the payload. Once.
   *
   * @throws {UsageError} `IMAGE_PAYLOAD_SIZE` when not as many octets were fed as announced.
   */
  finish(): Uint8Array;
}

const SIGNATURE_TYPE: Readonly<Record<KeyKind, number>> = {
  ed25519: TLV.ed25519,
  "ecdsa-p256": TLV.ecdsa,
  "ecdsa-p384": TLV.ecdsa,
  "rsa-2048": TLV.rsa2048,
  "rsa-3072": TLV.rsa3072,
};

/** The digests each kind of key may go with, the default first. */
const HASHES: Readonly<Record<KeyKind | "none", readonly HashAlgorithm[]>> = {
  ed25519: ["sha256", "sha512"],
  "ecdsa-p256": ["sha256"],
  "ecdsa-p384": ["sha384"],
  "rsa-2048": ["sha256"],
  "rsa-3072": ["sha256"],
  none: ["sha256", "sha384", "sha512"],
};

/**
 * Begins an image whose payload is too large to hold.
 *
 * @param payloadSizeBytes 0 … 2³² − 1.
 * @throws {UsageError} `IMAGE_HEADER`, `VERSION_RANGE`, `IMAGE_OPTION` for a number out of its range;
 *   `IMAGE_HASH_CHOICE` when the key does not go with the digest.
 */
export function startMcubootImage(
  options: McubootImageOptions,
  payloadSizeBytes: number,
  signing: Signing,
): McubootImageMaker {
  const algorithm = hashFor(options, signing.key);
  const claims = protectedRecords(options);
  const signedArea = claims.length === 0 ? new Uint8Array(0) : encodeTlvArea(TLV_MAGIC.protected, claims);
  const header = encodeMcubootHeader({
    loadAddress: 0,
    headerSizeBytes: options.headerSizeBytes ?? HEADER_FIELDS_BYTES,
    protectedSizeBytes: signedArea.length,
    payloadSizeBytes,
    flags: 0,
    version: options.version,
  });
  const proof = startProof(algorithm, signing);
  let leftBytes = payloadSizeBytes;
  proof.update(header);
  return {
    header,
    update: (payload) => {
      leftBytes -= payload.length;
      proof.update(payload);
    },
    finish: () => {
      if (leftBytes !== 0) {
        throw new UsageError("IMAGE_PAYLOAD_SIZE", "the payload is not as long as announced", { leftBytes });
      }
      proof.update(signedArea);
      return concat([signedArea, encodeTlvArea(TLV_MAGIC.plain, proof.finish())]);
    },
  };
}

/** Digest and signature over what is fed, as the records of the area that is not signed. */
function startProof(algorithm: HashAlgorithm, { crypto, key }: Signing) {
  const hash = crypto.createHash(algorithm);
  const signer = key?.createSigner();
  const signsDigest = key?.publicKey.kind === "ed25519";
  return {
    update: (bytes: Uint8Array): void => {
      hash.update(bytes);
      if (!signsDigest) signer?.update(bytes);
    },
    finish: (): TlvRecord[] => {
      const digest = hash.digest();
      const records: TlvRecord[] = [{ type: TLV[algorithm], value: digest }];
      if (key && signer) {
        if (signsDigest) signer.update(digest);
        const { kind, embedded } = key.publicKey;
        records.push({ type: TLV.keyHash, value: hashOf(crypto, algorithm, embedded) });
        records.push({ type: SIGNATURE_TYPE[kind], value: signer.sign() });
      }
      return records;
    },
  };
}

/**
 * A whole image from a payload in memory.
 *
 * @throws {UsageError} As `startMcubootImage`.
 */
export function makeMcubootImage(payload: Uint8Array, options: McubootImageOptions, signing: Signing): Uint8Array {
  const maker = startMcubootImage(options, payload.length, signing);
  maker.update(payload);
  return concat([maker.header, payload, maker.finish()]);
}

function hashFor({ hash }: McubootImageOptions, key: SigningKey | undefined): HashAlgorithm {
  const allowed = HASHES[key?.publicKey.kind ?? "none"];
  const algorithm = hash ?? allowed[0];
  if (!algorithm || !allowed.includes(algorithm)) {
    throw new UsageError("IMAGE_HASH_CHOICE", "this kind of key does not go with that digest", { hash, allowed });
  }
  return algorithm;
}

function protectedRecords(options: McubootImageOptions): TlvRecord[] {
  const { securityCounter, dependencies = [], vendorId, classId } = options;
  const records: TlvRecord[] = [];
  if (securityCounter !== undefined) {
    if (!Number.isInteger(securityCounter) || securityCounter < 0 || securityCounter > 0xffff_ffff) {
      throw new UsageError("IMAGE_OPTION", "a security counter has 32 bits", { securityCounter });
    }
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, securityCounter, true);
    records.push({ type: TLV.securityCounter, value });
  }
  for (const dependency of dependencies) records.push({ type: TLV.dependency, value: encodeDependency(dependency) });
  if (vendorId) records.push({ type: TLV.vendorId, value: uuid(vendorId) });
  if (classId) records.push({ type: TLV.classId, value: uuid(classId) });
  return records;
}

function encodeDependency({ imageIndex, version }: ImageDependency): Uint8Array {
  if (!Number.isInteger(imageIndex) || imageIndex < 0 || imageIndex > 0xff) {
    throw new UsageError("IMAGE_OPTION", "the number of an image is 0 to 255", { imageIndex });
  }
  const value = new Uint8Array(12);
  value[0] = imageIndex;
  encodeVersion(new DataView(value.buffer), 4, version);
  return value;
}

function uuid(value: Uint8Array): Uint8Array {
  if (value.length !== 16) throw new UsageError("IMAGE_OPTION", "a UUID has 16 octets", { sizeBytes: value.length });
  return value;
}
