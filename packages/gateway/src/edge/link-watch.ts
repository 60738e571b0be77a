/** Says when a link is not there, and when it is back: at the start at once, and whenever it changes. */
import type { Logger } from "pino";
import type { RadioLink } from "../links/radio-link.ts";

const LOOK_EVERY_MS = 1_000;

export class LinkWatch {
  readonly #links: readonly RadioLink[];
  readonly #log: Logger;
  readonly #down = new Set<RadioLink>();
  #timer: NodeJS.Timeout | undefined;

  constructor(links: readonly RadioLink[], log: Logger) {
    this.#links = links;
    this.#log = log;
  }

  start(): void {
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  look(): void {
    for (const link of this.#links) {
      const { isUp, problem } = link.counts;
      const wasDown = this.#down.has(link);
      if (isUp && wasDown) {
        this.#down.delete(link);
        this.#log.info({ link: link.uri }, "the link is there again");
      } else if (!isUp && !wasDown) {
        this.#down.add(link);
        this.#log.warn(
          { link: link.uri, reason: problem ?? "it is gone" },
          "the link is not there: looking for it again and again",
        );
      }
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
