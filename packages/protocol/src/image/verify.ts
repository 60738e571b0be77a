/** Whether an image is whole, and whether somebody we trust vouches for it. */
import { equalBytes } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { HASH_SIZE_BYTES, type HashAlgorithm, hashOf, type ImageCrypto, type PublicKey } from "./crypto-port.ts";
import { type InspectedImage, inspectImage } from "./inspect.ts";
import type { ImageSignature, McubootImage } from "./mcuboot.ts";
import { type ImageFile, walk } from "./reader.ts";

/** Whose signatures count. `allow-unsigned` asks for a whole image only: its digest, when it has one. */
export type Trust = readonly PublicKey[] | "allow-unsigned";

/** The most octets of an image whose signature is over the image itself, as all of it has to be in memory. */
export const LARGEST_PURE_IMAGE_BYTES = 16 * 1024 * 1024;

export interface VerifiedImage {
  readonly image: InspectedImage;
  /** The trusted key that signed; absent when unsigned images are allowed. */
  readonly signedBy?: PublicKey;
}

/**
 * Checks digest and signature of an image, reading it once from its beginning to its end.
 *
 * An image with several signatures needs one that is good and by a trusted key. A raw file has none.
 *
 * @throws {PeerError} What `inspectImage` throws, and `IMAGE_TRAILING` octets behind the image · `IMAGE_ENCRYPTED` cannot
 *   be checked without its key · `IMAGE_HASH` the digest is another · `IMAGE_UNSIGNED` · `IMAGE_KEY_UNKNOWN` signed, but by
 *   nobody we trust · `IMAGE_SIGNATURE` names a trusted key that did not sign this · `IMAGE_PURE_SIZE` too large.
 */
export async function verifyImage(file: ImageFile, trust: Trust, crypto: ImageCrypto): Promise<VerifiedImage> {
  const image = await inspectImage(file);
  if (image.format === "raw") {
    if (trust !== "allow-unsigned") throw new PeerError("IMAGE_UNSIGNED", "a raw file carries no signature");
    return { image };
  }
  refuseUncheckable(image);
  const candidates = trust === "allow-unsigned" ? [] : candidatesFor(image, trust, crypto);
  const signedBy = await check(file, { image, candidates, crypto });
  if (trust === "allow-unsigned") return { image };
  if (!signedBy) throw new PeerError("IMAGE_SIGNATURE", "the signature is not the named key's", { ...sizes(image) });
  return { image, signedBy };
}

/** A signature and a trusted key that may have made it. */
interface Candidate {
  readonly signature: ImageSignature;
  readonly key: PublicKey;
}

interface Check {
  readonly image: McubootImage;
  readonly candidates: readonly Candidate[];
  readonly crypto: ImageCrypto;
}

function refuseUncheckable(image: McubootImage): void {
  if (image.trailingSizeBytes > 0) {
    throw new PeerError("IMAGE_TRAILING", "octets that nothing protects follow the image", { ...sizes(image) });
  }
  if (image.isEncrypted) throw new PeerError("IMAGE_ENCRYPTED", "the image is encrypted", { flags: image.flags });
  if (image.isPure && image.signedSizeBytes > LARGEST_PURE_IMAGE_BYTES) {
    throw new PeerError("IMAGE_PURE_SIZE", "too large for a signature over the image itself", { ...sizes(image) });
  }
}

function candidatesFor(image: McubootImage, trust: readonly PublicKey[], crypto: ImageCrypto): Candidate[] {
  if (image.signatures.length === 0) throw new PeerError("IMAGE_UNSIGNED", "the image carries no signature");
  const candidates = image.signatures.flatMap((signature) =>
    trust
      .filter((key) => isSuitable(image, signature, key) && isNamed(signature, key, crypto))
      .map((key) => ({ signature, key })),
  );
  if (candidates.length === 0) {
    const schemes = image.signatures.map(({ scheme }) => scheme);
    throw new PeerError("IMAGE_KEY_UNKNOWN", "no trusted key has signed the image", { schemes });
  }
  return candidates;
}

/** RSA and P-256 sign SHA-256 images, P-384 SHA-384 images; Ed25519 signs any digest, or the image itself. */
function isSuitable(image: McubootImage, { scheme }: ImageSignature, { kind }: PublicKey): boolean {
  const algorithm = image.hash?.algorithm;
  if (scheme === "ed25519") return kind === "ed25519";
  if (image.isPure) return false;
  if (scheme !== "ecdsa") return kind === scheme && algorithm === "sha256";
  return (kind === "ecdsa-p256" && algorithm === "sha256") || (kind === "ecdsa-p384" && algorithm === "sha384");
}

/** Whether the image names this key, or names none. */
function isNamed({ keyHash, publicKey }: ImageSignature, { embedded }: PublicKey, crypto: ImageCrypto): boolean {
  if (publicKey) return equalBytes(publicKey, embedded);
  if (!keyHash) return true;
  const algorithm = (Object.keys(HASH_SIZE_BYTES) as HashAlgorithm[]).find(
    (name) => HASH_SIZE_BYTES[name] === keyHash.length,
  );
  return algorithm !== undefined && equalBytes(hashOf(crypto, algorithm, embedded), keyHash);
}

/** Walks the image once, feeding the digest and every candidate; the key that signed, if one did. */
async function check(file: ImageFile, { image, candidates, crypto }: Check): Promise<PublicKey | undefined> {
  const hash = image.hash && { ...image.hash, running: crypto.createHash(image.hash.algorithm) };
  const checks = candidates.map(({ signature, key }) => ({ signature, key, verifier: crypto.createVerifier(key) }));
  const overImage = checks.filter(({ key }) => image.isPure || key.kind !== "ed25519");
  await walk(file.reader, image.signedSizeBytes, (bytes) => {
    hash?.running.update(bytes);
    for (const { verifier } of overImage) verifier.update(bytes);
  });
  const digest = hash?.running.digest();
  if (hash && digest && !equalBytes(hash.digest, digest)) {
    throw new PeerError("IMAGE_HASH", "the image is not the one its digest names", { ...sizes(image) });
  }
  return checks.find((one) => {
    if (digest && !overImage.includes(one)) one.verifier.update(digest);
    return one.verifier.verify(one.signature.signature);
  })?.key;
}

function sizes({ sizeBytes, signedSizeBytes, trailingSizeBytes }: McubootImage) {
  return { sizeBytes, signedSizeBytes, trailingSizeBytes };
}
