/** What the server shows devices: a certificate from files, and a raw public key of its own (RFC 7250). */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { writeFileAtomically } from "@airlift/runtime/atomic-file";
import type { CertificatePem } from "@airlift/runtime/dtls-credentials";

export interface ServerIdentity {
  readonly certificate: CertificatePem | undefined;
  /** Whether the certificate is ECDSA on P-256, the only kind that DTLS shows; TLS shows any. */
  readonly isForDtls: boolean;
  /** ECDSA on P-256, PEM. */
  readonly rpkKeyPem: string;
}

/** The private key, and beside it the public one that devices are given. */
export const SERVER_KEY_FILE = "server-key.pem";
export const SERVER_PUBLIC_KEY_FILE = "server-key.pub.pem";

export interface ServerIdentityOptions {
  readonly dataDir: string;
  /** PEM files; both or none. */
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
}

/**
 * Reads what there is, and makes the raw public key the first time.
 *
 * @throws {UsageError} `TLS_FILE`
 * @throws {EnvironmentError} `DATA_FOLDER`
 */
export async function loadServerIdentity(options: ServerIdentityOptions): Promise<ServerIdentity> {
  const { dataDir, certificateFile, keyFile } = options;
  const rpkKeyPem = await ownKey(dataDir);
  if (certificateFile === null || keyFile === null) return { certificate: undefined, isForDtls: false, rpkKeyPem };
  const certificate = { chainPem: await pemFrom(certificateFile), keyPem: await pemFrom(keyFile) };
  return { certificate, isForDtls: isOnP256(certificate.keyPem), rpkKeyPem };
}

/** SHA-256 of a key's SubjectPublicKeyInfo in hex: how raw public keys are compared by eye. */
export function fingerprintOf(keyPem: string): string {
  const spki = createPublicKey(createPrivateKey(keyPem)).export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("hex");
}

async function ownKey(dataDir: string): Promise<string> {
  const path = join(dataDir, SERVER_KEY_FILE);
  try {
    return await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return makeKey(dataDir);
      throw error;
    });
  } catch (cause) {
    throw new EnvironmentError("DATA_FOLDER", `cannot keep the server's key in ${path}`, { path }, { cause });
  }
}

async function makeKey(dataDir: string): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await writeFileAtomically(join(dataDir, SERVER_PUBLIC_KEY_FILE), publicKey.export({ type: "spki", format: "pem" }), {
    mode: 0o644,
  });
  await writeFileAtomically(join(dataDir, SERVER_KEY_FILE), pem, { mode: 0o600 });
  return pem;
}

function isOnP256(keyPem: string): boolean {
  try {
    return createPrivateKey(keyPem).asymmetricKeyDetails?.namedCurve === "prime256v1";
  } catch (cause) {
    throw new UsageError("TLS_FILE", "--tls-key has no private key in PEM", {}, { cause });
  }
}

async function pemFrom(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new UsageError("TLS_FILE", `cannot read ${path}`, { path }, { cause });
  }
}
