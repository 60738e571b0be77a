/** CoAP over UDP. */
import { CoapNode, type CoapNodeOptions } from "./coap-node.ts";
import { openUdp, type SocketAddress, type Udp, type UdpOptions, type UdpPeer } from "./udp.ts";

export interface CoapUdpOptions extends UdpOptions, CoapNodeOptions {}

/** The port of `coap:`. @see RFC 7252 §6.1 */
export const COAP_PORT = 5683;

export class CoapUdp extends CoapNode<UdpPeer> {
  /** Where the socket is bound. */
  readonly address: SocketAddress;

  constructor(udp: Udp, options: CoapNodeOptions) {
    super(udp, options);
    this.address = udp.address;
  }
}

/**
 * Opens a socket with a CoAP endpoint on it. Peers are made with `udpPeer` or `resolveUdpPeer`.
 *
 * @throws {EnvironmentError} as `openUdp`
 * @throws {UsageError} `COAP_TRANSMISSION`
 */
export async function openCoapUdp(options: CoapUdpOptions = {}): Promise<CoapUdp> {
  return new CoapUdp(await openUdp(options), options);
}
