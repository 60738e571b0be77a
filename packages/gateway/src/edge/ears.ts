/** What a gateway hears over its links: opens frames, counts what it cannot open, and says so when that is most of it. */
import type { LinkState } from "@airlift/protocol/api/gateway";
import { ForeignFrames } from "@airlift/protocol/zmesh/foreign-frames";
import { decodeFrame, type Frame } from "@airlift/protocol/zmesh/frame";
import { Refusals } from "@airlift/protocol/zmesh/refusals";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Logger } from "pino";
import type { RadioLink } from "../links/radio-link.ts";
import { monotonicMs } from "./wall-clock.ts";

export interface EarsOptions {
  readonly links: readonly RadioLink[];
  readonly networkKey: Uint8Array;
  readonly log: Logger;
  /** A frame of this network; two links and every relay may bring the same one. */
  heard(frame: Frame): void;
  /** Somebody should be told now that most of it cannot be opened. */
  foreign(): void;
}

interface Heard {
  refusedCount: number;
  readonly foreign: ForeignFrames;
}

export class Ears {
  /** What was refused of what came over the air, and what others find wrong with it. */
  readonly refusals = new Refusals();
  readonly #options: EarsOptions;
  readonly #heard: ReadonlyMap<RadioLink, Heard>;

  constructor(options: EarsOptions) {
    this.#options = options;
    this.#heard = new Map(options.links.map((link) => [link, { refusedCount: 0, foreign: new ForeignFrames() }]));
  }

  start(): void {
    for (const [link, heard] of this.#heard) link.listen((bytes) => this.#hear(link, heard, bytes));
  }

  /** As the server is told. */
  states(): LinkState[] {
    return [...this.#heard].map(([link, { refusedCount, foreign }]) => {
      const { isUp, sentCount, heardCount, healedCount, lostCount } = link.counts;
      const { foreignCount, isMost: isMostlyForeign } = foreign;
      const heard = { heardCount, refusedCount, foreignCount, isMostlyForeign };
      return { link: link.uri, isUp, sentCount, ...heard, ...(lostCount !== undefined && { lostCount }), healedCount };
    });
  }

  #hear(link: RadioLink, heard: Heard, bytes: Uint8Array): void {
    const { networkKey } = this.#options;
    let refusal: string | undefined;
    const frame = this.refusals.guard(
      () => decodeFrame(bytes, { networkKey, crypto: zmeshCrypto }),
      (code) => {
        refusal = code;
      },
    );
    if (heard.foreign.hear(refusal, monotonicMs())) this.#tellForeign(link, heard.foreign);
    if (frame) this.#options.heard(frame);
    else heard.refusedCount += 1;
  }

  /** A wrong network key is silence: nobody opens what the other says. */
  #tellForeign(link: RadioLink, { heardCount, foreignCount }: ForeignFrames): void {
    this.#options.log.warn(
      { link: link.uri, heardCount, foreignCount },
      "hears frames that it cannot open: another network is near, or the network key is wrong here or there",
    );
    this.#options.foreign();
  }
}
