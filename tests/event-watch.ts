/** What a server under test tells, waited for: a wait in which nothing happens for long ends, and says what was seen until then. */
import type { Event } from "@airlift/protocol/api/schemas";
import type { EventStore } from "@airlift/server/store/ports";
import { type Logger, pino } from "pino";

/** However slow the machine is, something happens in that time. */
const SILENCE_MS = 120_000;
/** Lines of the log that are kept, and events that are named. */
const MOST_LINES = 50;

export class EventWatch {
  /** All that was told since `listen`. */
  readonly events: Event[] = [];
  /** For the server; of what is at least a warning, the newest lines are kept. */
  readonly log: Logger;
  readonly #lines: string[] = [];
  readonly #looks = new Set<() => void>();

  constructor() {
    const write = (line: string): void => {
      this.#lines.push(line.trimEnd());
      if (this.#lines.length > MOST_LINES) this.#lines.shift();
    };
    this.log = pino({ level: "warn" }, { write });
  }

  listen(store: Pick<EventStore, "subscribe">): void {
    store.subscribe((event) => {
      this.events.push(event);
      this.look();
    });
  }

  /** Something has happened that no event tells of. */
  look(): void {
    for (const look of this.#looks) look();
  }

  /**
   * Resolves with what `find` finds, now or after something has happened.
   *
   * @param what Names it, for who reads why a test failed.
   * @throws When nothing happens for 120 s, and what `find` throws.
   */
  async until<Found>(what: string, find: () => Promise<Found | undefined> | Found | undefined): Promise<Found> {
    const { promise, resolve, reject } = Promise.withResolvers<Found>();
    const timer = setTimeout(() => reject(this.#silence(what)), SILENCE_MS);
    const lookOnce = async (): Promise<void> => {
      timer.refresh();
      const found = await find();
      if (found !== undefined) resolve(found);
    };
    const look = () => void lookOnce().catch(reject);
    this.#looks.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#looks.delete(look);
    }
  }

  #silence(what: string): Error {
    const events = this.events
      .slice(-MOST_LINES)
      .map(({ id, kind, endpoint, sentence }) => `${id} ${kind} ${endpoint ?? ""}: ${sentence}`);
    const told = ["the last events:", ...events, "the log:", ...this.#lines].join("\n  ");
    return new Error(`nothing happened for ${SILENCE_MS / 1000} s while ${what} was waited for; ${told}`);
  }
}
