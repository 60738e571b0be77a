/** How the two ends of a secured transport (TLS, DTLS) prove to each other who they are. Values only: no key is used here. */

export type TransportSecurity = PreSharedKey | Certificates;

/** A secret that both ends know. @see RFC 4279, RFC 7252 §9.1.3.1 */
export interface PreSharedKey {
  readonly kind: "psk";
  /** 1 … 128 octets of UTF-8. */
  readonly identity: string;
  /** 16 … 64 octets. */
  readonly key: Uint8Array;
}

/** X.509 certificates. @see RFC 7252 §9.1.3.3 */
export interface Certificates {
  readonly kind: "certificate";
  /** PEM of those who may vouch for the server, and for the names in its certificate. Default: the system's trust store. */
  readonly trust?: string | readonly string[];
  /** SHA-256 of the one certificate (DER) that the server has to show, 32 octets. Nobody else needs to vouch for it then. */
  readonly pinnedSha256?: Uint8Array;
  /** The name that the server's certificate has to bear. Default: the host of the URI. */
  readonly serverName?: string;
  /** Our own certificate, with those between it and its root, and its key: both or none, PEM. */
  readonly certificate?: string;
  readonly privateKey?: string;
}
