/** Which credential speaks for which device. Whoever keeps the credentials implements this; the doors ask it. */

/** Who a peer proved to be: a PSK identity, the endpoint name of a raw public key, or a certificate's subject name. */
export interface ProvenIdentity {
  readonly kind: "psk" | "rpk" | "x509";
  readonly name: string;
}

/** All promises reject with `EnvironmentError` DATABASE_AWAY while the store cannot answer. */
export interface DeviceCredentials {
  /** The key of a PSK identity, for any device or the Bootstrap interface; `undefined` when there is none. */
  psk(identity: string): Promise<Uint8Array | undefined>;
  /** The endpoint name of a raw public key, by its fingerprint; `undefined` when it is not known. */
  rpk(fingerprint: string): Promise<string | undefined>;
  /** The authorities of device certificates, PEM; empty when none is trusted. */
  authoritiesPem(): Promise<string>;
  /**
   * The one endpoint name that this identity may speak for; `undefined` when its credential is gone. A certificate of a
   * trusted authority speaks for the name it carries.
   */
  endpointOf(identity: ProvenIdentity): Promise<string | undefined>;
  /** Whether any credential speaks for this endpoint name: then nobody registers under it without one. */
  hasCredentials(endpoint: string): Promise<boolean>;
  /**
   * Calls `onChange` with every identity that was withdrawn and the endpoint name that it spoke for, so that its sessions
   * and its registration end; until the returned function is called.
   */
  onWithdrawn(onChange: (identity: ProvenIdentity, endpoint: string) => void): () => void;
}
