/** What an MCUboot image says of itself, read from its two ends. Nothing of it is believed before `verifyImage`. */
import { PeerError } from "../lib/errors.ts";
import { HASH_SIZE_BYTES, type HashAlgorithm } from "./crypto-port.ts";
import { decodeMcubootHeader, decodeVersion, HEADER_FLAG, type McubootHeader } from "./mcuboot-header.ts";
import { truncated } from "./reader.ts";
import { decodeTlvAreas, TLV, type TlvAreas, type TlvRecord } from "./tlv.ts";
import type { McubootVersion } from "./version.ts";

/** Signatures looked at in one image; each may cost one check per trusted key. */
export const MOST_SIGNATURES = 8;

/** A signature, and what the image says of the key that made it. */
export interface ImageSignature {
  readonly scheme: "rsa-2048" | "rsa-3072" | "ecdsa" | "ed25519";
  readonly signature: Uint8Array;
  /** SHA-256, -384 or -512 of the public key in its embedded form, told apart by the length. */
  readonly keyHash?: Uint8Array;
  /** The public key itself, in its embedded form. */
  readonly publicKey?: Uint8Array;
}

/** Another image that has to be there in this version or a later one. */
export interface ImageDependency {
  /** Number of the image in a device with several, 0 … 255. */
  readonly imageIndex: number;
  readonly version: McubootVersion;
}

export interface McubootImage {
  readonly format: "mcuboot";
  readonly version: McubootVersion;
  readonly headerSizeBytes: number;
  readonly payloadSizeBytes: number;
  /** Octets 0 … `signedSizeBytes` − 1 are what the digest and the signatures cover. */
  readonly signedSizeBytes: number;
  /** The image without what trails it. */
  readonly sizeBytes: number;
  /** Octets behind the image, which nothing protects: the fill of a slot, or an accident. */
  readonly trailingSizeBytes: number;
  readonly loadAddress: number;
  /** Bits as in `HEADER_FLAG`. */
  readonly flags: number;
  readonly isEncrypted: boolean;
  /** The digest the image claims; absent only where a signature covers the image itself. */
  readonly hash?: { readonly algorithm: HashAlgorithm; readonly digest: Uint8Array };
  /** Whether the signatures are over the image itself instead of its digest (Ed25519 only). */
  readonly isPure: boolean;
  readonly signatures: readonly ImageSignature[];
  /** A device refuses an image whose counter is lower than its own. */
  readonly securityCounter?: number;
  readonly dependencies: readonly ImageDependency[];
  /** UUIDs of the vendor and of the class of device, 16 octets each. */
  readonly vendorId?: Uint8Array;
  readonly classId?: Uint8Array;
  /** Signed records, as they are. */
  readonly protectedRecords: readonly TlvRecord[];
}

const HASH_OF_TYPE: ReadonlyMap<number, HashAlgorithm> = new Map([
  [TLV.sha256, "sha256"],
  [TLV.sha384, "sha384"],
  [TLV.sha512, "sha512"],
]);

const SCHEME_OF_TYPE: ReadonlyMap<number, ImageSignature["scheme"]> = new Map([
  [TLV.rsa2048, "rsa-2048"],
  [TLV.rsa3072, "rsa-3072"],
  [TLV.ecdsa, "ecdsa"],
  [TLV.ed25519, "ed25519"],
]);

/**
 * Reads an image from its first 32 octets and from what is behind its payload.
 *
 * @param head The first 32 octets or more.
 * @param tail The octets from `headerSizeBytes + payloadSizeBytes` on: 131070 of them, or all there are.
 * @param sizeBytes Octets of the whole file.
 * @throws {PeerError} `IMAGE_TRUNCATED`, `IMAGE_MAGIC`, `IMAGE_HEADER`, `IMAGE_TLV`.
 */
export function decodeMcuboot(head: Uint8Array, tail: Uint8Array, sizeBytes: number): McubootImage {
  const header = decodeMcubootHeader(head);
  const tailOffset = header.headerSizeBytes + header.payloadSizeBytes;
  if (tailOffset > sizeBytes) throw truncated(tailOffset, sizeBytes);
  const areas = decodeTlvAreas(tail, header.protectedSizeBytes);
  return {
    format: "mcuboot",
    version: header.version,
    headerSizeBytes: header.headerSizeBytes,
    payloadSizeBytes: header.payloadSizeBytes,
    signedSizeBytes: tailOffset + header.protectedSizeBytes,
    sizeBytes: tailOffset + areas.sizeBytes,
    trailingSizeBytes: sizeBytes - tailOffset - areas.sizeBytes,
    ...flagsOf(header),
    ...proofOf(areas),
    ...claimsOf(areas.protected),
    protectedRecords: areas.protected,
  };
}

function flagsOf({ flags, loadAddress }: McubootHeader): Pick<McubootImage, "flags" | "loadAddress" | "isEncrypted"> {
  const encrypted = HEADER_FLAG.encryptedAes128 | HEADER_FLAG.encryptedAes256;
  return { flags, loadAddress, isEncrypted: (flags & encrypted) !== 0 };
}

/** Digest and signatures: the records that no signature covers. */
function proofOf({ plain }: TlvAreas): Pick<McubootImage, "hash" | "isPure" | "signatures"> {
  const signatures: ImageSignature[] = [];
  let hash: McubootImage["hash"];
  let key: Pick<ImageSignature, "keyHash" | "publicKey"> = {};
  for (const { type, value } of plain) {
    const algorithm = HASH_OF_TYPE.get(type);
    const scheme = SCHEME_OF_TYPE.get(type);
    if (algorithm) {
      if (hash || value.length !== HASH_SIZE_BYTES[algorithm]) throw wrong("digest", type, value);
      hash = { algorithm, digest: value };
    } else if (type === TLV.keyHash) key = { keyHash: value };
    else if (type === TLV.publicKey) key = { publicKey: value };
    else if (scheme) {
      signatures.push({ scheme, signature: value, ...key });
      key = {};
    }
  }
  if (signatures.length > MOST_SIGNATURES) {
    throw new PeerError("IMAGE_TLV", "the image has too many signatures", { count: signatures.length });
  }
  const isPure = plain.some(({ type, value }) => type === TLV.signaturePure && value.length === 1 && value[0] === 1);
  if (!hash && !isPure) throw new PeerError("IMAGE_TLV", "the image has no digest");
  return { isPure, signatures, ...(hash && { hash }) };
}

/** What the signed records say; each may be there once, dependencies more often. */
function claimsOf(records: readonly TlvRecord[]) {
  const dependencies = records
    .filter(({ type }) => type === TLV.dependency)
    .map(({ type, value }): ImageDependency => {
      if (value.length !== 12) throw wrong("dependency", type, value);
      return { imageIndex: value[0] ?? 0, version: decodeVersion(viewOf(value), 4) };
    });
  const counter = onlyOne(records, TLV.securityCounter, 4);
  const vendorId = onlyOne(records, TLV.vendorId, 16);
  const classId = onlyOne(records, TLV.classId, 16);
  return {
    dependencies,
    ...(counter && { securityCounter: viewOf(counter).getUint32(0, true) }),
    ...(vendorId && { vendorId }),
    ...(classId && { classId }),
  };
}

function onlyOne(records: readonly TlvRecord[], type: number, sizeBytes: number): Uint8Array | undefined {
  const [first, second] = records.filter((record) => record.type === type);
  if (!first) return undefined;
  if (second || first.value.length !== sizeBytes) throw wrong("record", type, first.value);
  return first.value;
}

function wrong(what: string, type: number, value: Uint8Array): PeerError {
  return new PeerError("IMAGE_TLV", `a ${what} is there twice or has the wrong length`, {
    type,
    sizeBytes: value.length,
  });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
