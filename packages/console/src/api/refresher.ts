/** Gathers what has become stale and asks for it: at once after a quiet time, at intervals in a busy one. */
import type { QueryClient } from "@tanstack/react-query";
import { soon } from "./soon.ts";

export class Refresher {
  readonly #client: QueryClient;
  readonly #stale = new Map<string, readonly unknown[]>();
  readonly #soon = soon(() => this.#refresh());

  constructor(client: QueryClient) {
    this.#client = client;
  }

  /** @param queryKey The beginning of the keys of what is stale. */
  add(queryKey: readonly unknown[]): void {
    this.#stale.set(JSON.stringify(queryKey), queryKey);
    this.#soon.ask();
  }

  stop(): void {
    this.#soon.stop();
  }

  #refresh(): void {
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
