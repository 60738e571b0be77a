/** A radio channel within one process: what one sends, all others hear, but for what gets lost. */
import type { Random } from "@airlift/protocol/lib/core";
import type { LinkCounts, RadioLink } from "./radio-link.ts";

export interface SimulatedAirOptions {
  /** Share of frames that each listener loses. Default 0. */
  readonly loss?: number;
  /** Default `Math.random`. */
  readonly random?: Random;
}

export class SimulatedAir {
  readonly #members = new Set<Member>();
  readonly #options: Required<SimulatedAirOptions>;

  constructor({ loss = 0, random = Math.random }: SimulatedAirOptions = {}) {
    this.#options = { loss, random };
  }

  /** Another radio on the channel. */
  join(): RadioLink {
    const member = new Member(
      (frame) => this.#spread(member, frame),
      () => this.#members.delete(member),
    );
    this.#members.add(member);
    return member;
  }

  #spread(from: Member, frame: Uint8Array): void {
    const { loss, random } = this.#options;
    for (const member of this.#members)
      if (member !== from && random() >= loss) setImmediate(() => member.hear(frame.slice()));
  }
}

class Member implements RadioLink {
  readonly uri = "air:";
  readonly #spread: (frame: Uint8Array) => void;
  readonly #leave: () => void;
  #listener: ((frame: Uint8Array) => void) | undefined;
  #sentCount = 0;
  #heardCount = 0;
  #isUp = true;

  constructor(spread: (frame: Uint8Array) => void, leave: () => void) {
    this.#spread = spread;
    this.#leave = leave;
  }

  get counts(): LinkCounts {
    return { isUp: this.#isUp, sentCount: this.#sentCount, heardCount: this.#heardCount, healedCount: 0 };
  }

  listen(listener: (frame: Uint8Array) => void): void {
    this.#listener = listener;
  }

  send(frame: Uint8Array): void {
    if (!this.#isUp) return;
    this.#sentCount += 1;
    this.#spread(frame.slice());
  }

  hear(frame: Uint8Array): void {
    if (!this.#isUp) return;
    this.#heardCount += 1;
    this.#listener?.(frame);
  }

  async close(): Promise<void> {
    this.#isUp = false;
    this.#leave();
  }
}
