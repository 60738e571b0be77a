/** TLS as this house uses it: PSK or certificates, in both roles (RFC 8323 §9, RFC 7925 §4). */
import { constants, createHash } from "node:crypto";
import { isIP } from "node:net";
import type { ConnectionOptions, TLSSocket, TlsOptions } from "node:tls";
import { equalBytes } from "@airlift/protocol/lib/bytes";
import type { Certificates, PreSharedKey, TransportSecurity } from "@airlift/protocol/lib/transport-security";

/** CCM with the short tag is what constrained peers have; it counts as below the default security level. */
const PSK_CIPHERS = "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256:PSK-AES128-CCM8:@SECLEVEL=0";
const CERTIFICATE_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-CCM8";

/** What a server needs to be known by, and to know its clients by. */
export interface ServerSecurity {
  /** The key of an identity; `undefined` when it is not known. Absent: no PSK. */
  readonly pskOf?: ((identity: string) => Uint8Array | undefined) | undefined;
  /** Instead of `pskOf`, where keys have to be looked up; a rejection refuses the handshake. */
  readonly findPsk?: ((identity: string) => Promise<Uint8Array | undefined>) | undefined;
  /** Certificate with its chain, and its key, both PEM. Absent: PSK only. */
  readonly certificate?: string | undefined;
  readonly privateKey?: string | undefined;
  /** PEM of those who may vouch for clients, "" = nobody. With it, a client without a certificate is refused. */
  readonly trust?: string | undefined;
}

/** Who a client proved to be: its PSK identity, or the common name of its certificate. */
export interface TlsIdentity {
  readonly kind: "psk" | "x509";
  readonly name: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint?: string | undefined;
}

/** The options of `tls.connect` towards `host`; `isPinned` is to be asked once connected. */
export function clientTls(security: TransportSecurity, host: string): ConnectionOptions {
  const servername = security.kind === "certificate" ? (security.serverName ?? host) : host;
  const named = isIP(servername) ? {} : { servername };
  return security.kind === "psk"
    ? { ...named, ...pskClient(security) }
    : { ...named, ...certificateClient(security, servername) };
}

/** Whether the server showed the certificate it has to show; true when any trusted one will do. */
export function isPinned(security: TransportSecurity, socket: TLSSocket): boolean {
  if (security.kind === "psk" || security.pinnedSha256 === undefined) return true;
  const { raw } = socket.getPeerCertificate();
  return raw !== undefined && equalBytes(createHash("sha256").update(raw).digest(), security.pinnedSha256);
}

/**
 * The options of `tls.createServer`. Keys are those of `pskOf`; `onIdentity` hears the PSK identity of a client before its
 * connection is handed over.
 */
export function serverTls(
  { pskOf, certificate, privateKey, trust }: Omit<ServerSecurity, "findPsk">,
  onIdentity: (socket: TLSSocket, identity: string) => void,
): TlsOptions {
  const ciphers = [...(certificate ? [CERTIFICATE_CIPHERS] : []), ...(pskOf ? [PSK_CIPHERS] : [])].join(":");
  return {
    ciphers,
    minVersion: "TLSv1.2",
    // Every connection proves its identity: a resumed one would not ask for the key, nor look at the certificate again.
    secureOptions: constants.SSL_OP_NO_TICKET,
    ...(certificate === undefined ? { maxVersion: "TLSv1.2" } : { cert: certificate, key: privateKey }),
    ...(trust === undefined ? {} : { ca: vouchers(trust), requestCert: true, rejectUnauthorized: true }),
    ...(pskOf && {
      pskCallback: (socket, identity) => {
        const psk = pskOf(identity);
        if (psk === undefined) return null;
        onIdentity(socket, identity);
        return psk;
      },
    }),
  };
}

/** An empty text would mean all that the system trusts. */
export const vouchers = (trust: string): string | string[] => (trust === "" ? [] : trust);

/** Only suites in which the server proves that it knows the key; they need TLS 1.2. */
function pskClient({ identity, key }: PreSharedKey): ConnectionOptions {
  return {
    ciphers: PSK_CIPHERS,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.2",
    pskCallback: () => ({ identity, psk: key }),
    checkServerIdentity: () => undefined,
  };
}

function certificateClient(security: Certificates, servername: string): ConnectionOptions {
  const { trust, pinnedSha256, certificate, privateKey } = security;
  return {
    ciphers: `TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:${CERTIFICATE_CIPHERS}`,
    minVersion: "TLSv1.2",
    // A pinned certificate is compared by itself, see `isPinned`.
    rejectUnauthorized: pinnedSha256 === undefined,
    host: servername,
    ...(trust === undefined ? {} : { ca: typeof trust === "string" ? trust : [...trust] }),
    ...(certificate === undefined ? {} : { cert: certificate, key: privateKey }),
  };
}
