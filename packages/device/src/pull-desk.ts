/** One pull at a time for all that want to fetch packages; the others wait in the order in which they came. */
import type { PullHandlers } from "./ports.ts";
import type { Puller, PullListener, PullStart } from "./puller.ts";

/** What a pull's owner may do with it. */
export type PullClient = Pick<Puller, "start" | "next" | "stop">;

interface Turn {
  readonly listener: PullListener;
  readonly handlers: PullHandlers;
  readonly start: PullStart;
}

export class PullDesk {
  readonly puller: Puller;
  #active: Turn | undefined;
  #isClosed = false;
  /** At most one for each client. */
  #waiting: Turn[] = [];

  /** @param create Makes the one puller, whose news go to the listener that it is given. */
  constructor(create: (listener: PullListener) => Puller) {
    this.puller = create({
      onOrigin: (...news) => this.#active?.listener.onOrigin(...news),
      onChunk: (...news) => this.#active?.listener.onChunk(...news),
      onPause: (...news) => this.#active?.listener.onPause(...news),
      // Its owner stops it and starts it anew.
      onChanged: (...news) => this.#active?.listener.onChanged(...news),
      onEnded: (...news) => this.#leave()?.onEnded(...news),
      onFailed: (...news) => this.#leave()?.onFailed(...news),
    });
  }

  /** Somebody fetches, or waits for it. */
  get isBusy(): boolean {
    return this.#active !== undefined;
  }

  /** Those of whoever pulls now. */
  get handlers(): PullHandlers | undefined {
    return this.#active?.handlers;
  }

  /** Ends the pull that is under way, and lets none follow: a stop of all owners one by one would begin those that wait. */
  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#active = undefined;
    this.puller.stop();
  }

  /** A door for one owner, which has one pull at most. */
  client(listener: PullListener, handlers: PullHandlers): PullClient {
    return {
      start: (start) => {
        this.#drop(listener);
        if (this.#isClosed) return;
        this.#waiting.push({ listener, handlers, start });
        this.#proceed();
      },
      next: (pull, storedBytes) => {
        if (this.#active?.listener === listener) this.puller.next(pull, storedBytes);
      },
      stop: () => {
        this.#drop(listener);
        this.#proceed();
      },
    };
  }

  #drop(listener: PullListener): void {
    this.#waiting = this.#waiting.filter((turn) => turn.listener !== listener);
    if (this.#active?.listener !== listener) return;
    this.#active = undefined;
    this.puller.stop();
  }

  /** The active one has ended; the next begins when its owner has been told. */
  #leave(): PullListener | undefined {
    const listener = this.#active?.listener;
    this.#active = undefined;
    queueMicrotask(() => this.#proceed());
    return listener;
  }

  #proceed(): void {
    if (this.#active !== undefined) return;
    this.#active = this.#waiting.shift();
    if (this.#active !== undefined) this.puller.start(this.#active.start);
  }
}
