/** What carries datagrams: a UDP socket, or a DTLS layer on top of one. */
import type { Peer } from "@airlift/protocol/coap/exchange";

export interface DatagramReceiver<P extends Peer> {
  /** `bytes` belongs to the receiver. */
  onDatagram(peer: P, bytes: Uint8Array): void;
  /** The network or a lower layer said that this peer cannot be reached now. */
  onUnreachable(peer: P, error: Error): void;
}

export interface DatagramChannel<P extends Peer> {
  /** Starts delivering; called once. */
  open(receiver: DatagramReceiver<P>): void;
  /**
   * Sends or drops; never blocks, never throws. `bytes` must not be changed afterwards.
   *
   * @param isWatched Whether a failure to send is worth telling `onUnreachable`.
   */
  send(peer: P, bytes: Uint8Array, isWatched: boolean): void;
  close(): Promise<void>;
}
