/** Who sent a request, as far as the rules about registrations go. */

/** What carries CoAP between a device and the server. */
export type Transport = "udp" | "dtls" | "tcp" | "tls";

export interface Sender {
  readonly transport: Transport;
  /**
   * Tells it from all others at all doors: an address over UDP, a session over DTLS (it stays when the address changes), a
   * connection over TCP and TLS. A session that was resumed is another one.
   */
  readonly peerKey: string;
  /** Where it was heard last: "192.0.2.7:5683", "[2001:db8::7]:5683". */
  readonly address: string;
  /** The one endpoint name that its credential speaks for; `undefined` for a sender that proved nothing. */
  readonly provenEndpoint: string | undefined;
}

/** Whether devices prove on this transport who they are. */
export const isSecure = (transport: Transport): boolean => transport === "dtls" || transport === "tls";

/** The key of a sender over plain UDP, where a device is its address. */
export const udpPeerKey = (address: string): string => `udp ${address}`;
