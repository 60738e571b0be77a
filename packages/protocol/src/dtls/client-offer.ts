/** What a client offers, from its credentials. */
import type { Certificate, SigningKey } from "./crypto-port.ts";
import { CERTIFICATE_TYPE, CURVE_EXTENSIONS, type HelloExtensions } from "./extensions.ts";
import type { HandshakeSettings } from "./handshake-types.ts";
import type { CipherSuite } from "./suites.ts";

/** What a client has to show and whom it believes. */
export interface ClientCredentials {
  readonly psk?: { readonly identity: string; readonly key: Uint8Array } | undefined;
  /** Our own chain (DER, our certificate first) and its key, for servers that ask. */
  readonly x509?: { readonly chain: readonly Uint8Array[]; readonly key: SigningKey } | undefined;
  readonly rpk?: SigningKey | undefined;
  /** Authorities for the server's certificate, or that certificate itself. */
  readonly anchors: readonly Certificate[];
  /** Raw public keys (SubjectPublicKeyInfo, DER) of the server. */
  readonly serverKeys: readonly Uint8Array[];
  /** The name or address that the server's certificate has to be for; `undefined`: any. Names are sent to the server. */
  readonly host?: string | undefined;
}

/** The suites that the credentials can be used with. */
export function offeredSuites({ suites }: HandshakeSettings, credentials: ClientCredentials): readonly CipherSuite[] {
  const { psk, anchors, serverKeys } = credentials;
  const hasTrust = anchors.length > 0 || serverKeys.length > 0;
  return suites.filter(({ keyExchange }) => (keyExchange === "ecdheEcdsa" ? hasTrust : psk !== undefined));
}

export function helloOffer(
  settings: HandshakeSettings,
  credentials: ClientCredentials,
  ownConnectionId: Uint8Array | undefined,
): HelloExtensions {
  const { rpk, x509, anchors, serverKeys, host } = credentials;
  const suites = offeredSuites(settings, credentials);
  const hasCertificates = suites.some(({ keyExchange }) => keyExchange === "ecdheEcdsa");
  const hasCurves = suites.some(({ keyExchange }) => keyExchange !== "psk");
  const types = (hasRaw: boolean, hasX509: boolean): number[] | undefined =>
    hasRaw ? [CERTIFICATE_TYPE.rpk, ...(hasX509 ? [CERTIFICATE_TYPE.x509] : [])] : undefined;
  return {
    ...(hasCurves ? CURVE_EXTENSIONS : {}),
    serverName: hasCertificates && host !== undefined && isDnsName(host) ? host : undefined,
    clientCertificateTypes: hasCertificates ? types(rpk !== undefined, x509 !== undefined) : undefined,
    serverCertificateTypes: hasCertificates ? types(serverKeys.length > 0, anchors.length > 0) : undefined,
    encryptThenMac: suites.some(({ protection }) => protection === "cbc"),
    extendedMasterSecret: true,
    connectionId: ownConnectionId,
    renegotiationInfo: new Uint8Array(0),
  };
}

/** Addresses are no server names. @see RFC 6066 §3 */
const isDnsName = (host: string): boolean => /[a-z]/i.test(host) && !host.includes(":");
