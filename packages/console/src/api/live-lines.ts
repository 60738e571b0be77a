/** What events change in answers that are here, without a question. */
import type { LastValue, ValueEvent } from "@airlift/protocol/api/operations";
import type { Event, Update } from "@airlift/protocol/api/schemas";
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import type { Page } from "./queries.ts";

/** Lines that a timeline takes on top before it is asked for anew, which leaves those of its first page. */
const MOST_LINES = 500;

/** Progress comes many times a second. */
export function showProgress(client: QueryClient, { updateId, facts }: Event): void {
  const { acknowledgedBytes } = facts;
  if (updateId === null || typeof acknowledgedBytes !== "number") return;
  const change = (update: Update): Update => (update.id === updateId ? { ...update, acknowledgedBytes } : update);
  client.setQueriesData<InfiniteData<Page<Update>>>({ queryKey: ["updates", "list"] }, (data) =>
    data?.pages.some(({ items }) => items.some(({ id }) => id === updateId))
      ? { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map(change) })) }
      : data,
  );
}

/**
 * A line is put on top of its device's timeline and of its campaign's, where those were opened.
 *
 * @returns The keys of those that have to be asked for anew: they have grown too long, or an answer is on its way that may
 *   not have this line.
 */
export function showLine(client: QueryClient, event: Event): readonly (readonly unknown[])[] {
  const { endpoint, campaignId } = event;
  const timelines: (readonly unknown[])[] = [];
  if (endpoint !== null) timelines.push(["events", endpoint]);
  if (campaignId !== null) timelines.push(["campaignEvents", campaignId]);
  return timelines.filter((queryKey) => showOn(client, queryKey, event));
}

/** Whether the timeline has to be asked for anew. */
function showOn(client: QueryClient, queryKey: readonly unknown[], event: Event): boolean {
  let count = 0;
  client.setQueriesData<InfiniteData<Page<Event>>>({ queryKey }, (data) => {
    const [first, ...others] = data?.pages ?? [];
    if (data === undefined || first === undefined || first.items.some(({ id }) => id >= event.id)) return data;
    const items = [event, ...first.items];
    count = items.length;
    return { ...data, pages: [{ ...first, items }, ...others] };
  });
  return count > MOST_LINES || client.isFetching({ queryKey }) > 0;
}

/** What a device told takes the place of what it told before. */
export function showValues(client: QueryClient, event: Event): void {
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
