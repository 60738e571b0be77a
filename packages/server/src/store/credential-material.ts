/** What a new credential consists of, read from what its maker sent. */
import { createHash, createPublicKey, randomBytes, timingSafeEqual, X509Certificate } from "node:crypto";
import type { CredentialKind, CredentialPurpose, NewCredential } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";

/** 128 bits: what every suite of LwM2M takes. */
const PSK_BYTES = 16;
/** RFC 7925 §4.2. */
const LONGEST_IDENTITY_BYTES = 128;

export interface CredentialMaterial {
  readonly kind: CredentialKind;
  readonly purpose: CredentialPurpose;
  /** The PSK identity or the fingerprint. */
  readonly identity: string;
  readonly publicPem: string | null;
  readonly key: Buffer | null;
  /** Whether the key was made here, so that its maker has to be told. */
  readonly isGenerated: boolean;
}

/** @throws {UsageError} PUBLIC_KEY, CERTIFICATE, CERTIFICATE_NAME */
export function materialOf(endpoint: string, asked: NewCredential): CredentialMaterial {
  const purpose = asked.purpose ?? "device";
  if (asked.kind === "psk") {
    const key = asked.key === undefined ? randomBytes(PSK_BYTES) : Buffer.from(asked.key, "hex");
    const identity = asked.identity ?? identityFor(endpoint);
    return { kind: "psk", purpose, identity, publicPem: null, key, isGenerated: asked.key === undefined };
  }
  const { identity, publicPem } =
    asked.kind === "rpk" ? readPublicKey(asked.publicKeyPem) : readDeviceCertificate(endpoint, asked.certificatePem);
  return { kind: asked.kind, purpose, identity, publicPem, key: null, isGenerated: false };
}

/** @throws {UsageError} AUTHORITY when the PEM is no certificate of an authority. */
export function readAuthority(pem: string): { fingerprint: string; subject: string; pem: string; validUntil: Date } {
  const certificate = parseCertificate(pem, "AUTHORITY");
  if (!certificate.ca)
    throw new UsageError("AUTHORITY", "the certificate is not one of an authority (basic constraint CA)");
  return {
    fingerprint: fingerprintOf(certificate),
    subject: commonNameOf(certificate) ?? certificate.subject.replaceAll("\n", ", "),
    pem: certificate.toString(),
    validUntil: certificate.validToDate,
  };
}

/** Compares in constant time; both have been sealed or sent by somebody who must not learn from it. */
export function isSameKey(one: Buffer | null, other: Buffer | null): boolean {
  if (one === null || other === null) return one === other;
  return one.length === other.length && timingSafeEqual(one, other);
}

/** The endpoint's name, with something that makes it another one each time: a device may have two keys at once. */
function identityFor(endpoint: string): string {
  const identity = `${endpoint}.${randomBytes(4).toString("hex")}`;
  const isShown = Buffer.byteLength(identity) <= LONGEST_IDENTITY_BYTES && !/\p{Cc}/u.test(identity);
  return isShown ? identity : `device.${randomBytes(8).toString("hex")}`;
}

function readPublicKey(pem: string) {
  try {
    // A private key would be accepted too, and nobody should get used to sending one.
    if (pem.includes("PRIVATE")) throw new Error("it is a private key; the device keeps that for itself");
    const key = createPublicKey(pem);
    const spki = key.export({ type: "spki", format: "der" });
    if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1")
      throw new Error("it is not one for ECDSA on P-256");
    return { identity: sha256(spki), publicPem: `${key.export({ type: "spki", format: "pem" })}` };
  } catch (error) {
    throw new UsageError("PUBLIC_KEY", `the public key cannot be used: ${(error as Error).message}`);
  }
}

function readDeviceCertificate(endpoint: string, pem: string) {
  const certificate = parseCertificate(pem, "CERTIFICATE");
  const name = commonNameOf(certificate);
  if (name !== endpoint)
    throw new UsageError("CERTIFICATE_NAME", `the certificate is for ${name ?? "nobody"}, not for ${endpoint}`, {
      endpoint,
      name,
    });
  return { identity: fingerprintOf(certificate), publicPem: certificate.toString() };
}

function parseCertificate(pem: string, code: string): X509Certificate {
  try {
    if (pem.includes("PRIVATE")) throw new Error("there is a private key with it");
    if (pem.split("-----BEGIN CERTIFICATE-----").length !== 2) throw new Error("it has to be exactly one, in PEM");
    return new X509Certificate(pem);
  } catch (error) {
    throw new UsageError(code, `the certificate cannot be read: ${(error as Error).message}`);
  }
}

const commonNameOf = ({ subject }: X509Certificate): string | undefined => /^CN=(.*)$/m.exec(subject ?? "")?.[1];
const fingerprintOf = ({ fingerprint256 }: X509Certificate): string => fingerprint256.replaceAll(":", "").toLowerCase();
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
