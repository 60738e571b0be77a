/** Gathers what has become stale and asks for it: at once after a quiet time, at intervals in a busy one. */
import type { QueryClient } from "@tanstack/react-query";

/** Events of one moment are answered by one question … */
const GATHER_MS = 100;
/** … and while they keep coming the same question is not asked more often. */
const PAUSE_MS = 1500;

export class Refresher {
  readonly #client: QueryClient;
  readonly #stale = new Map<string, readonly unknown[]>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(client: QueryClient) {
    this.#client = client;
  }

  /** @param queryKey The beginning of the keys of what is stale. */
  add(queryKey: readonly unknown[]): void {
    this.#stale.set(JSON.stringify(queryKey), queryKey);
    this.#soon();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #soon(): void {
    const waitMs = Math.max(GATHER_MS, this.#lastMs + PAUSE_MS - performance.now());
    this.#timer ??= setTimeout(() => this.#refresh(), waitMs);
  }

  #refresh(): void {
    this.#timer = undefined;
    this.#lastMs = performance.now();
    const stale = [...this.#stale.values()];
    this.#stale.clear();
    const queries = new Set(stale.flatMap((queryKey) => this.#client.getQueryCache().findAll({ queryKey })));
    for (const { queryKey, state } of queries) {
      // The answer on its way may be older than the event. It is awaited: a busy server would never get to answer.
      if (state.fetchStatus === "fetching") this.add(queryKey);
      else void this.#client.invalidateQueries({ queryKey, exact: true });
    }
  }
}
