/** An update in a campaign tells of each of its steps twice, in the same words: as an update, and as a device of the campaign. */
import type { Event } from "@airlift/protocol/api/schemas";

/** Words that come again within this are the same news: the campaign hears of a step after it is on record. */
const SAME_NEWS_MS = 60_000;

/** The lines without the campaign's repetition of what the update has told. */
export function toldOnce(events: readonly Event[]): readonly Event[] {
  const byUpdates = new Map<string, number[]>();
  for (const event of events)
    if (event.kind.startsWith("update."))
      byUpdates.set(newsOf(event), [...(byUpdates.get(newsOf(event)) ?? []), atMs(event)]);
  return events.filter(
    (event) =>
      event.kind !== "campaign.note" ||
      byUpdates.get(newsOf(event))?.some((toldAtMs) => Math.abs(toldAtMs - atMs(event)) < SAME_NEWS_MS) !== true,
  );
}

const newsOf = ({ endpoint, sentence }: Event): string => `${endpoint} ${sentence}`;
const atMs = ({ at }: Event): number => Date.parse(at);
