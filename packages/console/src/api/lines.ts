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

/** Lines of a device among which its campaign's echo of one is looked for. */
const ECHO_LINES = 8;

/** A campaign's lines, newest first, without those that only repeat what a device's update has said of itself just before. */
export function withoutEchoes(events: readonly Event[]): Event[] {
  const said = new Map<string, readonly string[]>();
  const isEcho = ({ kind, endpoint, sentence }: Event): boolean => {
    const recent = said.get(endpoint ?? "") ?? [];
    if (kind === "campaign.note") return recent.includes(sentence);
    said.set(endpoint ?? "", [sentence, ...recent].slice(0, ECHO_LINES));
    return false;
  };
  return events
    .toReversed()
    .filter((event) => !isEcho(event))
    .toReversed();
}
