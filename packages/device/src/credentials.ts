/** How a device and its server prove to each other who they are. */
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import type { DtlsClientCredential } from "@airlift/runtime/dtls-credentials";
import type { PullScheme } from "./transfer/package-uri.ts";

/**
 * For `coaps:` and `coaps+tcp:`. Either `psk`: identity (1 … 128 octets of UTF-8) and key (1 … 64 octets; 16 or more are
 * wise). Or `trust` in the server, by its raw public key or by an authority, with what the device shows of its own:
 * `rpk` (not over TCP) or `certificate`. Keys are ECDSA on P-256, all in PEM.
 */
export type ServerCredentials = DtlsClientCredential;

const MAX_IDENTITY_BYTES = 128;
const MAX_KEY_BYTES = 64;

/** What is wrong with the credentials for a server of this scheme, a sentence each; that PEM can be read is not looked at. */
export function credentialMistakes(scheme: PullScheme, credentials: ServerCredentials | undefined): string[] {
  const isSecured = scheme === "coaps" || scheme === "coaps+tcp";
  if (!isSecured) return credentials ? [`credentials: ${scheme} is not secured, use coaps or coaps+tcp`] : [];
  if (credentials === undefined)
    return [`credentials: ${scheme} needs a pre-shared key (psk), or somebody to trust (trust)`];
  const { psk, rpk, certificate, trust } = credentials;
  const own = [psk, rpk, certificate].filter((one) => one !== undefined);
  const mistakes = own.length > 1 ? ["credentials: psk, rpk or certificate, only one of them"] : [];
  if (psk) return [...mistakes, ...pskMistakes(psk)];
  if (!trust?.certificatesPem && !trust?.rpkPem)
    mistakes.push("credentials: without a pre-shared key the device has to know whom it trusts (trust)");
  if (scheme === "coaps+tcp" && (rpk || (trust?.rpkPem && !trust.certificatesPem)))
    mistakes.push("credentials: raw public keys work over coaps, not over coaps+tcp");
  return mistakes;
}

function pskMistakes({ identity, key }: { readonly identity: string; readonly key: Uint8Array }): string[] {
  const identityBytes = new TextEncoder().encode(identity).length;
  return [
    ...(identityBytes < 1 || identityBytes > MAX_IDENTITY_BYTES
      ? ["credentials: a PSK identity has 1 … 128 octets"]
      : []),
    ...(key.length < 1 || key.length > MAX_KEY_BYTES ? ["credentials: a pre-shared key has 1 … 64 octets"] : []),
  ];
}

/** For DTLS; a server's certificate has to be for `host` unless the credentials name another. */
export function credentialOf(credentials: ServerCredentials = {}, host: string): DtlsClientCredential {
  const { trust } = credentials;
  return trust?.certificatesPem && trust.host === undefined
    ? { ...credentials, trust: { ...trust, host } }
    : credentials;
}

/** For TLS. */
export function tlsSecurityOf({ psk, certificate, trust }: ServerCredentials = {}): TransportSecurity {
  if (psk) return { kind: "psk", ...psk };
  return {
    kind: "certificate",
    ...(trust?.certificatesPem !== undefined && { trust: trust.certificatesPem }),
    ...(trust?.host !== undefined && { serverName: trust.host }),
    ...(certificate && { certificate: certificate.chainPem, privateKey: certificate.keyPem }),
  };
}
