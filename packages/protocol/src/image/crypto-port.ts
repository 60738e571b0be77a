/**
 * The cryptography that images need, as a port: this package decides what is hashed and signed, the shell does it.
 *
 * Every signature is made and checked over a *message* that is fed in pieces. Ed25519 is not a streaming scheme, so its
 * implementation has to hold the message; MCUboot's default gives it the image's digest only, 32 … 64 octets.
 */

/** Digests MCUboot names, with their length in octets. */
export const HASH_SIZE_BYTES = { sha256: 32, sha384: 48, sha512: 64 } as const;

export type HashAlgorithm = keyof typeof HASH_SIZE_BYTES;

/**
 * Kinds of key that sign images. RSA is RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 octets; ECDSA hashes with
 * SHA-256 on P-256, SHA-384 on P-384, and writes its signature in DER.
 */
export const KEY_KINDS = ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"] as const;

export type KeyKind = (typeof KEY_KINDS)[number];

/** A public key that may vouch for images. */
export interface PublicKey {
  readonly kind: KeyKind;
  /** SubjectPublicKeyInfo, DER (RFC 5280 §4.1.2.7). */
  readonly spki: Uint8Array;
  /** The form whose hash an image carries: PKCS #1 RSAPublicKey for RSA, else the same as `spki`. */
  readonly embedded: Uint8Array;
}

/** A private key, held by the shell; this package only feeds it. */
export interface SigningKey {
  readonly publicKey: PublicKey;
  /** A signature over one message; each call starts a new one. */
  createSigner(): Signer;
}

/** `update` zero or more times, then `digest` once. */
export interface Hash {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

/** `update` zero or more times, then `sign` once. */
export interface Signer {
  update(bytes: Uint8Array): void;
  sign(): Uint8Array;
}

/** `update` zero or more times, then `verify` once. */
export interface Verifier {
  update(bytes: Uint8Array): void;
  /** Whether `signature` is `key`'s over what was fed. A malformed signature is `false`, never an error. */
  verify(signature: Uint8Array): boolean;
}

export interface ImageCrypto {
  createHash(algorithm: HashAlgorithm): Hash;
  createVerifier(key: PublicKey): Verifier;
}

/** The digest of one octet string. */
export function hashOf(crypto: ImageCrypto, algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array {
  const hash = crypto.createHash(algorithm);
  hash.update(bytes);
  return hash.digest();
}
