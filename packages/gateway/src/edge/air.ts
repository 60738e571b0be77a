/** The transmitter's voice: makes frames of what is to be said, and says them over all links. */
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { encodeFrame, type Frame } from "@airlift/protocol/zmesh/frame";
import type { RadioLink } from "../links/radio-link.ts";

export interface AirOptions {
  readonly links: readonly RadioLink[];
  readonly networkKey: Uint8Array;
  readonly crypto: ZmeshCrypto;
}

export interface Utterance extends Pick<Frame, "kind" | "name" | "fseq" | "payload" | "ttl"> {
  readonly rateBps: number;
}

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
  say({ rateBps, ...frame }: Utterance): void {
    const octets = encodeFrame({ ...frame, isProxied: false }, this.#options);
    const airtime = airtimeMs(frame.payload.length, rateBps);
    for (const link of this.#options.links) link.send(octets, airtime);
  }
}
