/** Which credential speaks for which device. Whoever keeps the credentials implements this; the doors ask it. */

/** Who a peer proved to be: a PSK identity, the endpoint name of a raw public key, or a certificate's subject name. */
export interface ProvenIdentity {
  readonly kind: "psk" | "rpk" | "x509";
  readonly name: string;
  /** SHA-256 of the raw public key or certificate, lower-case hex: tells several of one device apart. */
  readonly fingerprint?: string | undefined;
}

/** Where a peer wants to speak: at the Registration or at the Bootstrap interface. A credential is good for one of them. */
export type SpeakingPlace = "device" | "bootstrap";

/** All promises reject with `EnvironmentError` DATABASE_AWAY while the store cannot answer. */
export interface DeviceCredentials {
  /** The key of a PSK identity, for any device or the Bootstrap interface; `undefined` when there is none. */
  psk(identity: string): Promise<Uint8Array | undefined>;
  /** The endpoint name of a raw public key, by its fingerprint; `undefined` when it is not known. */
  rpk(fingerprint: string): Promise<string | undefined>;
  /** The authorities of device certificates and the certificates of single devices, PEM; empty when none is trusted. */
  authoritiesPem(): Promise<string>;
  /**
   * The one endpoint name that this identity may speak for at `place` (absent: `device`); `undefined` when its credential
   * is gone or is for the other place. A certificate of a trusted authority speaks for the name it carries. Asked only of
   * what a peer has proved: the first answer for a new credential ends those that it replaces.
   */
  endpointOf(identity: ProvenIdentity, place?: SpeakingPlace): Promise<string | undefined>;
  /** Whether any credential speaks for this endpoint name: then nobody registers under it without one. */
  hasCredentials(endpoint: string): Promise<boolean>;
  /** Those of these endpoint names that a credential speaks for; any number of them. */
  withCredentials(endpoints: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * Calls `onChange` with every identity that was withdrawn, so that its sessions end, and the endpoint name that it spoke
   * for at the Registration interface, so that its registration ends; until the returned function is called.
   */
  onWithdrawn(onChange: (identity: ProvenIdentity, endpoint: string | undefined) => void): () => void;
  /** Calls `onChange` with every endpoint name that was given a credential to register with: without one it no longer may. */
  onGiven(onChange: (endpoint: string) => void): () => void;
  /** Calls `onChange` when `authoritiesPem` has another answer: ask it again, and end certificate sessions it does not bear out. */
  onAuthorities(onChange: () => void): () => void;
}
