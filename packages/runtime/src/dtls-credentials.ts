/** What DTLS shows and believes, from PEM text and look-ups to the values that the core works with. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { ClientCredentials } from "@airlift/protocol/dtls/client-offer";
import type { Certificate, SigningKey } from "@airlift/protocol/dtls/crypto-port";
import type { Found, Wanted } from "@airlift/protocol/dtls/handshake-types";
import type { ServerCredentials } from "@airlift/protocol/dtls/server-choice";
import { UsageError } from "@airlift/protocol/lib/errors";
import { dtlsCrypto, dtlsSigningKey } from "./dtls-crypto.ts";

type Maybe<T> = T | undefined | Promise<T | undefined>;

/** A certificate with its private key, ECDSA on P-256. */
export interface CertificatePem {
  /** Our certificate first, then those that issued it. */
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface DtlsServerCredentials {
  /** The key of a PSK identity, `undefined` when there is none. May take its time; a rejection refuses the handshake. */
  readonly psk?: ((identity: string) => Maybe<Uint8Array>) | undefined;
  readonly certificate?: CertificatePem | undefined;
  /** A raw public key (RFC 7250) by its private half: PEM, ECDSA on P-256. */
  readonly rpk?: { readonly keyPem: string } | undefined;
  /** Whom we believe. Clients that use certificates have to prove who they are when anything is here, else they stay anonymous. */
  readonly trust?: DtlsClientTrust | undefined;
}

export interface DtlsClientTrust {
  /** The name of the device that has this raw public key (SHA-256 of the SubjectPublicKeyInfo in hex, and itself). */
  readonly rpk?: ((fingerprint: string, spki: Uint8Array) => Maybe<string>) | undefined;
  /** Authorities, or certificates of single devices; "" = none. */
  readonly certificatesPem?: string | undefined;
}

/** What a client uses: a pre-shared key, or trust in the server with or without something of its own. */
export interface DtlsClientCredential {
  readonly psk?: { readonly identity: string; readonly key: Uint8Array } | undefined;
  readonly certificate?: CertificatePem | undefined;
  readonly rpk?: { readonly keyPem: string } | undefined;
  readonly trust?: DtlsServerTrust | undefined;
}

export interface DtlsServerTrust {
  /** The server's raw public keys, PEM (`PUBLIC KEY`), one or more. */
  readonly rpkPem?: string | undefined;
  /** Authorities, or the server's very certificate. */
  readonly certificatesPem?: string | undefined;
  /** The name or address that the server's certificate has to be for. */
  readonly host?: string | undefined;
}

/** @throws {UsageError} `DTLS_CREDENTIAL` when PEM cannot be read or a key is not ECDSA on P-256. */
export function serverCredentials(credentials: DtlsServerCredentials): ServerCredentials {
  const { psk, certificate, rpk, trust } = credentials;
  const anchors = trust?.certificatesPem ? readCertificates(trust.certificatesPem) : [];
  const kinds: ("rpk" | "x509")[] = [
    ...(trust?.rpk ? (["rpk"] as const) : []),
    ...(anchors.length > 0 ? (["x509"] as const) : []),
  ];
  return {
    hasPsk: psk !== undefined,
    x509: certificate && readChain(certificate),
    rpk: rpk && readKey(rpk.keyPem),
    clientKinds: kinds,
    anchors,
  };
}

/** @throws {UsageError} `DTLS_CREDENTIAL` as `serverCredentials`, and when there is nothing to begin a handshake with. */
export function clientCredentials({ psk, certificate, rpk, trust }: DtlsClientCredential): ClientCredentials {
  const anchors = trust?.certificatesPem === undefined ? [] : readCertificates(trust.certificatesPem);
  const serverKeys = trust?.rpkPem === undefined ? [] : readPublicKeys(trust.rpkPem);
  if (psk === undefined && anchors.length === 0 && serverKeys.length === 0)
    throw new UsageError("DTLS_CREDENTIAL", "a DTLS client needs a pre-shared key, or somebody to trust");
  return {
    psk,
    x509: certificate && readChain(certificate),
    rpk: rpk && readKey(rpk.keyPem),
    anchors,
    serverKeys,
    host: trust?.host,
  };
}

/** Asks whoever keeps the credentials. Never rejects. */
export function lookUp(credentials: DtlsServerCredentials, wanted: Wanted): Found | Promise<Found> {
  try {
    if (wanted.kind === "psk")
      return settled(credentials.psk?.(wanted.identity), (key) => ({ kind: "psk", key: key && nonEmpty(key) }));
    return settled(credentials.trust?.rpk?.(wanted.fingerprint, wanted.spki), (name) => ({ kind: "rpk", name }));
  } catch {
    return { kind: "failed" };
  }
}

function settled<T>(value: Maybe<T>, found: (value: T | undefined) => Found): Found | Promise<Found> {
  return value instanceof Promise ? value.then(found, () => ({ kind: "failed" })) : found(value);
}

const nonEmpty = (key: Uint8Array): Uint8Array | undefined => (key.length === 0 ? undefined : key);

const refused = (what: string, cause?: unknown): UsageError =>
  new UsageError("DTLS_CREDENTIAL", what, {}, cause === undefined ? undefined : { cause });

function readChain({ chainPem, keyPem }: CertificatePem): { chain: Uint8Array[]; key: SigningKey } {
  const chain = readCertificates(chainPem);
  return { chain: chain.map(({ der }) => der), key: readKey(keyPem) };
}

function readCertificates(pem: string): Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw refused("no certificate in PEM here");
  return blocks.map((block) => {
    const certificate = dtlsCrypto.parseCertificate(Buffer.from(block.replace(/-----[^-]+-----/g, ""), "base64"));
    if (certificate === undefined) throw refused("a certificate cannot be read");
    return certificate;
  });
}

function readKey(pem: string): SigningKey {
  let key: SigningKey | undefined;
  try {
    key = dtlsSigningKey(createPrivateKey(pem));
  } catch (cause) {
    throw refused("no private key in PEM here", cause);
  }
  if (key === undefined) throw refused("DTLS signs with ECDSA keys on P-256 only");
  return key;
}

function readPublicKeys(pem: string): Uint8Array[] {
  const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  if (blocks.length === 0) throw refused("no public key in PEM here");
  return blocks.map((block) => {
    try {
      return new Uint8Array(createPublicKey(block).export({ type: "spki", format: "der" }));
    } catch (cause) {
      throw refused("a public key cannot be read", cause);
    }
  });
}
