/** The cryptography of DTLS on node:crypto. Cipher keys are `KeyObject`s: with them a record is sealed four times faster. */
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createPublicKey,
  createSecretKey,
  hash,
  type KeyObject,
  randomFillSync,
  sign,
  timingSafeEqual,
  verify,
  X509Certificate,
} from "node:crypto";
import { isIP } from "node:net";
import type {
  Aead,
  AeadAlgorithm,
  BlockCipher,
  Certificate,
  DtlsCrypto,
  Hmac,
  KeyShare,
  SigningKey,
  VerifyingKey,
} from "@airlift/protocol/dtls/crypto-port";
import { concat, EMPTY } from "@airlift/protocol/lib/bytes";

const CURVE = "prime256v1";
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/** The port of `@airlift/protocol/dtls`. */
export const dtlsCrypto: DtlsCrypto = {
  randomBytes: randomOctets,
  sha256: (parts) => sha256(joined(EMPTY, parts)),
  createHmac,
  createAead: (algorithm, key) => new NodeAead(algorithm, key),
  createBlockCipher: (key) => new NodeBlockCipher(key),
  createKeyShare,
  importPublicKey,
  parseCertificate,
  equalSecrets: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

/** A private key on P-256 as DTLS signs with it; `undefined` when it is another kind of key. */
export function dtlsSigningKey(key: KeyObject): SigningKey | undefined {
  const verifying = key.type === "private" ? verifyingKey(createPublicKey(key)) : undefined;
  return verifying && { spki: verifying.spki, sign: (message) => plain(sign("sha256", message, key)) };
}

/** A view without the pool's manners: `slice` of a Buffer is a view, that of everything else here a copy. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Asking the system's generator once for many small numbers costs a twentieth. What was handed out is wiped here. */
const pool = Buffer.alloc(4_096);
let poolAt = pool.length;

function randomOctets(length: number): Uint8Array {
  const octets = new Uint8Array(length);
  if (length > 64) return randomFillSync(octets);
  if (poolAt + length > pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  octets.set(pool.subarray(poolAt, poolAt + length));
  pool.fill(0, poolAt, poolAt + length);
  poolAt += length;
  return octets;
}

/** What is hashed is put together here: memory of its own would cost more than the hash. Longer messages are rare. */
const scratch = new Uint8Array(4_096);

/** `first` and the parts, one after the other; gone with the next call. */
function joined(first: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  let length = first.length;
  for (const part of parts) length += part.length;
  if (length > scratch.length) return concat([first, ...parts]);
  scratch.set(first);
  let at = first.length;
  for (const part of parts) {
    scratch.set(part, at);
    at += part.length;
  }
  return scratch.subarray(0, length);
}

/**
 * Writes the SHA-256 of `bytes` to `target` at `at`. It comes as text, because a call that makes no objects outside of
 * JavaScript's heap costs a quarter: what such objects cost the garbage collector is most of a handshake's time.
 */
function writeDigest(bytes: Uint8Array, target: Uint8Array, at: number): void {
  const text = hash("sha256", bytes, "binary");
  for (let i = 0; i < DIGEST_BYTES; i += 1) target[at + i] = text.charCodeAt(i);
}

function sha256(bytes: Uint8Array): Uint8Array {
  const digest = new Uint8Array(DIGEST_BYTES);
  writeDigest(bytes, digest, 0);
  return digest;
}

/** HMAC as RFC 2104 §2 defines it, over the one-call digest. */
function createHmac(key: Uint8Array): Hmac {
  const short = key.length > BLOCK_BYTES ? sha256(key) : key;
  const inner = new Uint8Array(BLOCK_BYTES).fill(0x36);
  const outer = new Uint8Array(BLOCK_BYTES + DIGEST_BYTES).fill(0x5c, 0, BLOCK_BYTES);
  for (const [i, byte] of short.entries()) {
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  return (parts) => {
    writeDigest(joined(inner, parts), outer, BLOCK_BYTES);
    return sha256(outer);
  };
}

class NodeAead implements Aead {
  readonly #isCcm: boolean;
  readonly #key: KeyObject;
  readonly #tagBytes: number;

  constructor(algorithm: AeadAlgorithm, key: Uint8Array) {
    this.#isCcm = algorithm === "ccm8";
    this.#key = createSecretKey(key);
    this.#tagBytes = this.#isCcm ? 8 : 16;
  }

  seal(nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array, target: Uint8Array, at: number): void {
    const authTagLength = this.#tagBytes;
    const cipher = this.#isCcm
      ? createCipheriv("aes-128-ccm", this.#key, nonce, { authTagLength })
      : createCipheriv("aes-128-gcm", this.#key, nonce, { authTagLength });
    cipher.setAAD(associated, { plaintextLength: plaintext.length });
    target.set(cipher.update(plaintext), at);
    cipher.final();
    target.set(cipher.getAuthTag(), at + plaintext.length);
  }

  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const authTagLength = this.#tagBytes;
    const length = sealed.length - authTagLength;
    const decipher = this.#isCcm
      ? createDecipheriv("aes-128-ccm", this.#key, nonce, { authTagLength })
      : createDecipheriv("aes-128-gcm", this.#key, nonce, { authTagLength });
    try {
      decipher.setAuthTag(sealed.subarray(length));
      decipher.setAAD(associated, { plaintextLength: length });
      const plaintext = decipher.update(sealed.subarray(0, length));
      decipher.final();
      return plain(plaintext);
    } catch {
      return undefined;
    }
  }
}

class NodeBlockCipher implements BlockCipher {
  readonly #key: KeyObject;

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  encrypt(iv: Uint8Array, plaintext: Uint8Array): Uint8Array {
    return plain(createCipheriv("aes-128-cbc", this.#key, iv).setAutoPadding(false).update(plaintext));
  }

  decrypt(iv: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    return plain(createDecipheriv("aes-128-cbc", this.#key, iv).setAutoPadding(false).update(ciphertext));
  }
}

function createKeyShare(): KeyShare {
  const ecdh = createECDH(CURVE);
  return {
    publicPoint: plain(ecdh.generateKeys()),
    agree: (peerPoint) => {
      try {
        return peerPoint.length === 65 ? plain(ecdh.computeSecret(peerPoint)) : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

function importPublicKey(spki: Uint8Array): VerifyingKey | undefined {
  try {
    return verifyingKey(createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }));
  } catch {
    return undefined;
  }
}

function verifyingKey(key: KeyObject): VerifyingKey | undefined {
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== CURVE) return undefined;
  return {
    spki: plain(key.export({ type: "spki", format: "der" })),
    verify: (message, signature) => {
      try {
        return verify("sha256", message, key, signature);
      } catch {
        return false;
      }
    },
  };
}

/** The certificates that `parseCertificate` made, for `isIssuedBy`. */
const parsed = new WeakMap<Certificate, X509Certificate>();

function parseCertificate(der: Uint8Array): Certificate | undefined {
  try {
    const x509 = new X509Certificate(der);
    const certificate: Certificate = {
      der: plain(x509.raw),
      key: verifyingKey(x509.publicKey),
      name: commonName(x509.subject),
      fingerprint: x509.fingerprint256.replaceAll(":", "").toLowerCase(),
      validFromMs: x509.validFromDate.getTime(),
      validUntilMs: x509.validToDate.getTime(),
      isAuthority: x509.ca,
      isIssuedBy: (issuer) => {
        const above = parsed.get(issuer);
        return above !== undefined && x509.checkIssued(above) && x509.verify(above.publicKey);
      },
      isFor: (host) => (isIP(host) ? x509.checkIP(host) : x509.checkHost(host)) !== undefined,
    };
    parsed.set(certificate, x509);
    return certificate;
  } catch {
    return undefined;
  }
}

/** The name in a certificate's subject: its common name, or all of it where there is none. */
export function commonName(subject: string | undefined): string {
  const lines = subject?.split("\n") ?? [];
  const common = lines.find((line) => line.startsWith("CN="));
  return common ? common.slice(3) : lines.join(", ");
}
