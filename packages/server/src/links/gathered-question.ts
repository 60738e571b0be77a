/** Whether something is so of a name, asked of the store for all names of a turn at once: a fleet that comes back is one question. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";

interface Asker {
  readonly name: string;
  resolve(isSo: boolean): void;
  reject(error: unknown): void;
}

/** Names of one question. */
const MOST_AT_ONCE = 1_000;
/** More than can be asked about while the store is slow are turned away; they come again. */
const MOST_WAITING = 100_000;

export class GatheredQuestion {
  readonly #ask: (names: readonly string[]) => Promise<ReadonlySet<string>>;
  #waiting: Asker[] = [];
  #isAsking = false;

  /** @param ask Those of these names of which it is so. */
  constructor(ask: (names: readonly string[]) => Promise<ReadonlySet<string>>) {
    this.#ask = ask;
  }

  /** Rejects as `ask`, or with {EnvironmentError} STORE_BUSY. */
  has(name: string): Promise<boolean> {
    if (this.#waiting.length >= MOST_WAITING)
      return Promise.reject(new EnvironmentError("STORE_BUSY", "too many questions wait for the database"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, resolve, reject });
      if (!this.#isAsking) setImmediate(() => void this.#askAll());
    });
  }

  async #askAll(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#waiting.length > 0) {
      const askers = this.#waiting.splice(0, MOST_AT_ONCE);
      try {
        const found = await this.#ask(askers.map(({ name }) => name));
        for (const { name, resolve } of askers) resolve(found.has(name));
      } catch (error) {
        for (const { reject } of askers) reject(error);
      }
    }
    this.#isAsking = false;
  }
}
