/** Keeps what the pages show in step with the server's events. */
import type { LastValue, ValueEvent } from "@airlift/protocol/api/operations";
import type { Event, Update } from "@airlift/protocol/api/schemas";
import { type InfiniteData, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { liveFeed } from "./live-feed.ts";
import type { Page } from "./queries.ts";

/** Events of one moment are answered by one question … */
const GATHER_MS = 100;
/** … and while they keep coming the same question is not asked more often. */
const PAUSE_MS = 1500;
/** Lines of a timeline that are kept while the page is open. */
const MOST_LINES = 500;

/** What an event makes stale: beginnings of query keys. */
function touchedBy({ kind, endpoint }: Event): readonly (readonly unknown[])[] {
  const [noun = ""] = kind.split(".");
  const device = [
    ["devices", "one", endpoint],
    ["devices", "preview"],
  ];
  if (kind === "device.request") return [["queue", endpoint]];
  if (/^device\.(registered|deregistered|expired)$/.test(kind)) device.push(["statistics"]);
  if (noun === "device") return [...device, ["devices", "objects", endpoint], ["observations", endpoint]];
  if (noun === "image") return [["images"]];
  if (noun === "credential") return [["credentials", endpoint]];
  if (noun === "token") return [["tokens"]];
  if (noun === "campaign" || noun === "wave") return [["campaigns"]];
  return [["updates"], ...device];
}

export function useFeedKeepsPagesFresh(): void {
  const client = useQueryClient();
  useEffect(() => {
    const refresher = new Refresher(client);
    const stopEvents = liveFeed.onEvent((event) => {
      if (event.kind === "update.progress") return showProgress(client, event);
      if (event.kind === "device.value") return showValues(client, event);
      showLine(client, event);
      for (const key of touchedBy(event)) refresher.add(key);
    });
    // What happened while the line was down was not told: all is asked again. A line that ends may be a session's end.
    const stopLines = liveFeed.onLine(() => {
      if (liveFeed.line.kind === "live") void client.invalidateQueries();
      if (liveFeed.line.kind === "lost") void client.invalidateQueries({ queryKey: ["session"] });
    });
    return () => {
      refresher.stop();
      stopEvents();
      stopLines();
    };
  }, [client]);
}

/** Gathers what is stale and asks for it: at once after a quiet time, at intervals in a busy one. */
class Refresher {
  readonly #client: QueryClient;
  readonly #stale = new Map<string, readonly unknown[]>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(client: QueryClient) {
    this.#client = client;
  }

  add(queryKey: readonly unknown[]): void {
    this.#stale.set(JSON.stringify(queryKey), queryKey);
    const waitMs = Math.max(GATHER_MS, this.#lastMs + PAUSE_MS - performance.now());
    this.#timer ??= setTimeout(() => this.#refresh(), waitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #refresh(): void {
    this.#timer = undefined;
    this.#lastMs = performance.now();
    // What is being asked for is not asked anew: a busy server would never get to answer.
    for (const queryKey of this.#stale.values())
      void this.#client.invalidateQueries({ queryKey }, { cancelRefetch: false });
    this.#stale.clear();
  }
}

/** Progress comes many times a second: it changes what is shown without a question. */
function showProgress(client: QueryClient, { updateId, facts }: Event): void {
  const { acknowledgedBytes } = facts;
  if (updateId === null || typeof acknowledgedBytes !== "number") return;
  const change = (update: Update): Update => (update.id === updateId ? { ...update, acknowledgedBytes } : update);
  client.setQueriesData<InfiniteData<Page<Update>>>({ queryKey: ["updates", "list"] }, (data) =>
    data?.pages.some(({ items }) => items.some(({ id }) => id === updateId))
      ? { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map(change) })) }
      : data,
  );
}

/** A line is put on top of its device's timeline, if that was opened. */
function showLine(client: QueryClient, event: Event): void {
  if (event.endpoint === null) return;
  client.setQueriesData<InfiniteData<Page<Event>>>({ queryKey: ["events", event.endpoint] }, (data) => {
    const [first, ...others] = data?.pages ?? [];
    if (data === undefined || first === undefined || first.items.some(({ id }) => id >= event.id)) return data;
    const items = [event, ...first.items];
    if (items.length <= MOST_LINES || others.length > 0) return { ...data, pages: [{ ...first, items }, ...others] };
    // From the cut on the list is asked for as if it had never been here.
    return { ...data, pages: [{ items: items.slice(0, MOST_LINES), next: null }] };
  });
}

/** What a device told takes the place of what it told before. */
function showValues(client: QueryClient, event: Event): void {
  const { facts, at, endpoint } = event as ValueEvent;
  const told = facts.values.map((value): LastValue => ({ ...value, receivedAt: at, by: facts.by }));
  mergeValues(client, endpoint ?? "", told);
}

/** Puts values into the list of what a device told last. */
export function mergeValues(client: QueryClient, endpoint: string, told: readonly LastValue[]): void {
  const paths = new Set(told.map(({ path }) => path));
  client.setQueryData<readonly LastValue[]>(
    ["values", endpoint],
    (known) => known && [...known.filter(({ path }) => !paths.has(path)), ...told],
  );
}
