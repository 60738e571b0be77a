/** A timeline as pages of it were fetched, with lines put on top as they happen. */
import type { Event } from "@airlift/protocol/api/schemas";
import type { InfiniteData } from "@tanstack/react-query";
import type { Page } from "./queries.ts";

export type Lines = InfiniteData<Page<Event>, string | undefined>;

/** Lines of a timeline that are kept while the page is open. */
export const MOST_LINES = 500;

/** The same timeline when it has the line already. */
export function withLine(lines: Lines, event: Event): Lines {
  const [first, ...others] = lines.pages;
  if (first === undefined || first.items.some(({ id }) => id >= event.id)) return lines;
  const items = [event, ...first.items];
  if (items.length <= MOST_LINES || others.length > 0) return { ...lines, pages: [{ ...first, items }, ...others] };
  // From the cut on the list is asked for as if it had never been here.
  return { ...lines, pages: [{ items: items.slice(0, MOST_LINES), next: null }] };
}
