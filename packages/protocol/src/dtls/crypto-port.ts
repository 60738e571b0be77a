/**
 * The cryptography of DTLS as a port: this package decides what is computed over what, the shell computes it.
 *
 * Everything is synchronous. Nothing here throws for what a peer sent: a wrong tag, key or certificate is `undefined` or
 * `false`. Octets handed in are not kept unless it is said; octets handed out belong to the caller.
 */

/** AES-128 with the tag of 8 octets (RFC 6655 §4) or 16 octets (RFC 5288 §3). */
export type AeadAlgorithm = "ccm8" | "gcm";

export interface DtlsCrypto {
  /** Octets that nobody can guess. */
  randomBytes(length: number): Uint8Array;
  /** SHA-256 over all parts, one after the other: 32 octets. */
  sha256(parts: readonly Uint8Array[]): Uint8Array;
  /** HMAC-SHA-256 under `key`, which is kept. */
  createHmac(key: Uint8Array): Hmac;
  /** @param key 16 octets. */
  createAead(algorithm: AeadAlgorithm, key: Uint8Array): Aead;
  /** AES-128-CBC without padding. @param key 16 octets. */
  createBlockCipher(key: Uint8Array): BlockCipher;
  /** A new key pair on P-256 for one handshake. */
  createKeyShare(): KeyShare;
  /** A public key on P-256 from its SubjectPublicKeyInfo (DER); `undefined` when it is anything else. */
  importPublicKey(spki: Uint8Array): VerifyingKey | undefined;
  /** `undefined` when it is no certificate. */
  parseCertificate(der: Uint8Array): Certificate | undefined;
  /** Compares in a time that says nothing about where two secrets of one length differ. */
  equalSecrets(a: Uint8Array, b: Uint8Array): boolean;
}

/** HMAC-SHA-256 over all parts, one after the other: 32 octets. */
export type Hmac = (parts: readonly Uint8Array[]) => Uint8Array;

export interface Aead {
  /** Writes ciphertext and tag to `target` at `at`. @param nonce 12 octets. */
  seal(nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array, target: Uint8Array, at: number): void;
  /** The plaintext of ciphertext and tag, or `undefined` when the tag is wrong. */
  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

/** Whole blocks of 16 octets only. */
export interface BlockCipher {
  encrypt(iv: Uint8Array, plaintext: Uint8Array): Uint8Array;
  decrypt(iv: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

/** Our half of an elliptic curve Diffie-Hellman exchange on P-256. */
export interface KeyShare {
  /** Uncompressed point, 65 octets. */
  readonly publicPoint: Uint8Array;
  /** The shared x coordinate, 32 octets; `undefined` when `peerPoint` is no point of the curve. */
  agree(peerPoint: Uint8Array): Uint8Array | undefined;
}

/** ECDSA on P-256 with SHA-256, signatures in DER (RFC 8422 §5.10). */
export interface VerifyingKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

/** A private key on P-256, held by the shell. */
export interface SigningKey {
  /** SubjectPublicKeyInfo of its public half, DER. */
  readonly spki: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** An X.509 certificate (RFC 5280). */
export interface Certificate {
  readonly der: Uint8Array;
  /** The key to check a handshake signature with; `undefined` when it is not on P-256. */
  readonly key: VerifyingKey | undefined;
  /** The common name of the subject, or its whole name when there is none. */
  readonly name: string;
  /** SHA-256 of `der`, lower-case hex. */
  readonly fingerprint: string;
  readonly validFromMs: number;
  readonly validUntilMs: number;
  /** Whether it may issue others (basic constraints). */
  readonly isAuthority: boolean;
  /** Whether `issuer` signed this one and is named as its issuer. */
  isIssuedBy(issuer: Certificate): boolean;
  /** Whether it was made for a host name or an IP address. @see RFC 6125 §6.4 */
  isFor(host: string): boolean;
}
