/** The transmitter's voice: makes frames of what is to be said, and says them over all links. */
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { encodeFrame, type Frame } from "@airlift/protocol/zmesh/frame";
import type { RadioLink } from "../links/radio-link.ts";

export interface AirOptions {
  readonly links: readonly RadioLink[];
  readonly networkKey: Uint8Array;
  readonly crypto: ZmeshCrypto;
}

export type Utterance = Pick<Frame, "kind" | "name" | "fseq" | "payload" | "ttl">;

export class Air {
  readonly #options: AirOptions;

  constructor(options: AirOptions) {
    this.#options = options;
  }

  /** Whether anybody could hear. */
  get isUp(): boolean {
    return this.#options.links.some(({ counts }) => counts.isUp);
  }

  /** Begins now; its airtime is booked already. */
  say(utterance: Utterance): void {
    const frame = encodeFrame({ ...utterance, isProxied: false }, this.#options);
    for (const link of this.#options.links) link.send(frame);
  }
}
