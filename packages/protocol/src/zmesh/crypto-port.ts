/** The symmetric cryptography that Z-Mesh needs, as a port: this folder decides what is sealed with which nonce, the shell does it. */

/** Octets of an AES-128 key, and of a CMAC before it is cut. */
export const KEY_BYTES = 16;

/** What one AES-128-CCM operation is made with (RFC 3610, L = 2). */
export interface CcmParameters {
  /** 16 octets. */
  readonly key: Uint8Array;
  /** 13 octets, never used twice with one key. */
  readonly nonce: Uint8Array;
  /** Authenticated, not encrypted. */
  readonly aad: Uint8Array;
  /** Octets of the tag: 6 for commands and events, 8 for content. */
  readonly tagBytes: 6 | 8;
}

/**
 * All calls are synchronous, return memory of their own, keep nothing between two calls and may be made at any time.
 * Lengths are the caller's duty: a wrong one is a mistake in this code base and may throw anything.
 */
export interface ZmeshCrypto {
  /** Encrypts and decrypts alike. @param counterBlock The first counter block, 16 octets; counted big-endian. */
  aes128Ctr(key: Uint8Array, counterBlock: Uint8Array, bytes: Uint8Array): Uint8Array;
  /** Ciphertext ‖ tag. */
  aes128CcmSeal(parameters: CcmParameters, plain: Uint8Array): Uint8Array;
  /** The plaintext of ciphertext ‖ tag, or `undefined` when the tag does not fit or `sealed` is shorter than a tag. */
  aes128CcmOpen(parameters: CcmParameters, sealed: Uint8Array): Uint8Array | undefined;
  /** AES-CMAC (RFC 4493), 16 octets. */
  aes128Cmac(key: Uint8Array, message: Uint8Array): Uint8Array;
  /** 32 octets over all parts, one after the other. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** The same over any number of parts. Each is done with before the next one is asked for, so they may share a buffer. */
  sha256Of(parts: Iterable<Uint8Array>): Uint8Array;
  /** Octets nobody can predict. */
  randomBytes(sizeBytes: number): Uint8Array;
  /** Whether two octet strings are equal, in a time that does not tell where they differ. */
  isSameTag(a: Uint8Array, b: Uint8Array): boolean;
}
