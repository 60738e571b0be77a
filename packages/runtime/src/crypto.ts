/** Cryptography for images on node:crypto, and the keys that sign them as PEM files. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSign,
  createVerify,
  generateKeyPairSync,
  constants as how,
  type KeyObject,
  type SigningOptions,
  sign as signOnce,
  verify as verifyOnce,
} from "node:crypto";
import type {
  ImageCrypto,
  KeyKind,
  PublicKey,
  Signer,
  SigningKey,
  Verifier,
} from "@airlift/protocol/image/crypto-port";
import { UsageError } from "@airlift/protocol/lib/errors";

/** A key pair as files: PKCS #8 and SubjectPublicKeyInfo, both PEM. */
export interface KeyPairPem {
  readonly privatePem: string;
  readonly publicPem: string;
}

/** A new key pair. The default of this house is Ed25519: small, quick, and nothing to choose wrongly. */
export function generateSigningKey(kind: KeyKind = "ed25519"): KeyPairPem {
  const { privateKey, publicKey } = generate(kind);
  return {
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

/**
 * A private key from PEM (PKCS #8, PKCS #1 or SEC 1).
 *
 * @throws {UsageError} `KEY_PEM` when it is no private key in PEM; `KEY_ENCRYPTED` when it wants a passphrase;
 *   `KEY_KIND` when images are not signed with such keys.
 */
export function loadSigningKey(pem: string): SigningKey {
  if (!/PRIVATE KEY-----/.test(pem)) throw new UsageError("KEY_PEM", "no private key in PEM here");
  const key = parse(pem, createPrivateKey);
  const publicKey = describe(createPublicKey(key));
  return { publicKey, createSigner: () => createSigner(publicKey.kind, key) };
}

/**
 * A public key from PEM; of a private key its public half.
 *
 * @throws {UsageError} As `loadSigningKey`.
 */
export function loadPublicKey(pem: string): PublicKey {
  return describe(parse(pem, createPublicKey));
}

/** The port of `@airlift/protocol/image`. */
export const imageCrypto: ImageCrypto = {
  createHash: (algorithm) => createHash(algorithm),
  createVerifier,
};

function parse(pem: string, create: (pem: string) => KeyObject): KeyObject {
  if (/ENCRYPTED/.test(pem)) throw new UsageError("KEY_ENCRYPTED", "the key is protected by a passphrase");
  try {
    return create(pem);
  } catch (cause) {
    throw new UsageError("KEY_PEM", "not a key in PEM", {}, { cause });
  }
}

function describe(key: KeyObject): PublicKey {
  const kind = kindOf(key);
  const spki = key.export({ type: "spki", format: "der" });
  return { kind, spki, embedded: kind.startsWith("rsa") ? key.export({ type: "pkcs1", format: "der" }) : spki };
}

function kindOf(key: KeyObject): KeyKind {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ed25519") return "ed25519";
  if (type === "ec" && details?.namedCurve === "prime256v1") return "ecdsa-p256";
  if (type === "ec" && details?.namedCurve === "secp384r1") return "ecdsa-p384";
  if (type === "rsa" && details?.modulusLength === 2048) return "rsa-2048";
  if (type === "rsa" && details?.modulusLength === 3072) return "rsa-3072";
  throw new UsageError(
    "KEY_KIND",
    "images are signed with Ed25519, ECDSA on P-256 or P-384, RSA of 2048 or 3072 bits",
    {
      type,
      namedCurve: details?.namedCurve,
      modulusLength: details?.modulusLength,
    },
  );
}

function generate(kind: KeyKind): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (kind) {
    case "ed25519":
      return generateKeyPairSync("ed25519");
    case "ecdsa-p256":
      return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    case "ecdsa-p384":
      return generateKeyPairSync("ec", { namedCurve: "secp384r1" });
    case "rsa-2048":
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
    case "rsa-3072":
      return generateKeyPairSync("rsa", { modulusLength: 3072 });
  }
}

function digestFor(kind: KeyKind): string {
  return kind === "ecdsa-p384" ? "sha384" : "sha256";
}

function paddingFor(kind: KeyKind): SigningOptions {
  return kind.startsWith("rsa") ? { padding: how.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : {};
}

function createSigner(kind: KeyKind, key: KeyObject): Signer {
  if (kind === "ed25519") {
    const message = collect();
    return { update: message.update, sign: () => signOnce(null, message.whole(), key) };
  }
  const signing = createSign(digestFor(kind));
  return {
    update: (bytes) => void signing.update(bytes),
    sign: () => signing.sign({ key, ...paddingFor(kind) }),
  };
}

function createVerifier({ kind, spki }: PublicKey): Verifier {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  if (kind === "ed25519") {
    const message = collect();
    return {
      update: message.update,
      verify: (signature) => verifyOnce(null, message.whole(), key, signature),
    };
  }
  const verifying = createVerify(digestFor(kind));
  return {
    update: (bytes) => void verifying.update(bytes),
    verify: (signature) => verifying.verify({ key, ...paddingFor(kind) }, withoutFill(kind, signature)),
  };
}

/** Old images fill a DER signature up to a fixed length; what is behind the outer SEQUENCE does not belong to it. */
function withoutFill(kind: KeyKind, signature: Uint8Array): Uint8Array {
  return kind.startsWith("ecdsa") ? signature.subarray(0, (signature[1] ?? 0) + 2) : signature;
}

function collect(): { update(bytes: Uint8Array): void; whole(): Buffer } {
  const parts: Buffer[] = [];
  return { update: (bytes) => void parts.push(Buffer.from(bytes)), whole: () => Buffer.concat(parts) };
}
