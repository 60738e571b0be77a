/** Which frames were heard lately, so that one which comes twice counts once. */
import { hash } from "node:crypto";
import { concat } from "@airlift/protocol/lib/bytes";
import type { Frame } from "@airlift/protocol/zmesh/frame";

/** Frames remembered: the events of 10 000 devices. */
export const DEFAULT_MAX_RECENT = 16_384;

export class RecentFrames {
  /** Digests, an octet a character: of a frame's own length nothing is left. */
  readonly #seen = new Set<string>();
  readonly #maxCount: number;

  constructor(maxCount: number = DEFAULT_MAX_RECENT) {
    this.#maxCount = maxCount;
  }

  /** Whether it is new: of another name, number or payload than all that are remembered. */
  add({ name, fseq, payload }: Pick<Frame, "name" | "fseq" | "payload">): boolean {
    const number = Uint8Array.of(fseq >> 16, fseq >> 8, fseq);
    const key = hash("sha256", concat([name, number, payload]), "binary");
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    if (this.#seen.size > this.#maxCount) {
      const [oldest] = this.#seen;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    return true;
  }
}
