/** A line of relays behind a transmitter: the real core, and real frames with a TTL that is just enough. */
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { decodeFrame, encodeFrame, type FrameKeys } from "@airlift/protocol/zmesh/frame";
import { Relay } from "@airlift/protocol/zmesh/relay";

/** A packet of the content. */
export interface Packet {
  readonly seq: number;
  readonly payload: Uint8Array;
}

export class RelayChain {
  readonly relayCount: number;
  readonly #name: Uint8Array;
  readonly #keys: FrameKeys;
  readonly #relays: readonly Relay[];

  /** @param name Of the content. @param line `relayCount` is 0 … 7. */
  constructor(name: Uint8Array, line: { readonly crypto: ZmeshCrypto; readonly relayCount: number }) {
    this.#name = name;
    this.relayCount = line.relayCount;
    this.#keys = { networkKey: new Uint8Array(16), crypto: line.crypto };
    this.#relays = Array.from({ length: line.relayCount }, () => new Relay(this.#keys));
  }

  /** The packet as the relay behind so many others sends it on, if it does. */
  pass({ seq, payload }: Packet, relay: number, nowMs: number): Packet | undefined {
    const ttl = this.relayCount - relay;
    const fields = { kind: "content", ttl, isProxied: false, name: this.#name, fseq: seq, payload } as const;
    const relayed = this.#relays[relay]?.take(encodeFrame(fields, this.#keys), nowMs);
    return relayed && { seq, payload: decodeFrame(relayed, this.#keys).payload };
  }
}
