/** Says when a link is not there, and when it is back: at the start at once, and whenever it changes. And when its modem cannot keep up. */
import type { Logger } from "pino";
import type { RadioLink } from "../links/radio-link.ts";

const LOOK_EVERY_MS = 1_000;
/** Looks at which nothing was lost, before a loss is told again: a minute of them. */
const QUIET_LOOKS = 60;

export interface LinkWatchOptions {
  readonly links: readonly RadioLink[];
  readonly log: Logger;
  /** A link is gone, or there again. */
  changed(link: RadioLink): void;
}

export class LinkWatch {
  readonly #options: LinkWatchOptions;
  readonly #down = new Set<RadioLink>();
  /** Of links that lost frames: how many there were, and at how many looks there were no more. */
  readonly #losses = new Map<RadioLink, { readonly lostCount: number; readonly quietLooks: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LinkWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  look(): void {
    for (const link of this.#options.links) {
      this.#lookForLoss(link);
      const wasUp = !this.#down.has(link);
      if (link.counts.isUp === wasUp) continue;
      this.#tell(link);
      this.#options.changed(link);
    }
  }

  #tell(link: RadioLink): void {
    const { log } = this.#options;
    const { isUp, problem } = link.counts;
    if (isUp) {
      this.#down.delete(link);
      log.info({ link: link.uri }, "the link is there again");
    } else {
      this.#down.add(link);
      log.warn(
        { link: link.uri, reason: problem ?? "it is gone" },
        "the link is not there: looking for it again and again",
      );
    }
  }

  #lookForLoss(link: RadioLink): void {
    const { lostCount = 0 } = link.counts;
    const { lostCount: before, quietLooks } = this.#losses.get(link) ?? { lostCount: 0, quietLooks: QUIET_LOOKS };
    const isMore = lostCount > before;
    if (isMore && quietLooks >= QUIET_LOOKS)
      this.#options.log.warn(
        { link: link.uri, lostCount },
        "the modem does not take frames in time: they are dropped, and their airtime counts all the same",
      );
    this.#losses.set(link, { lostCount, quietLooks: isMore ? 0 : quietLooks + 1 });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
