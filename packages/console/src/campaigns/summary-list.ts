/** The list of campaigns as pages of it were fetched, changed where one campaign has changed. */
import type { CampaignSummary } from "@airlift/protocol/api/campaign";
import type { InfiniteData } from "@tanstack/react-query";
import type { Page } from "../api/queries.ts";

export type SummaryList = InfiniteData<Page<CampaignSummary>, string | undefined>;

/** The campaign in its place; one that is newer than all of them on top. One that is older than what was fetched comes with its page. */
export function withSummary(list: SummaryList, summary: CampaignSummary): SummaryList {
  const isOld = list.pages.some(({ items }) => items.some(({ id }) => id === summary.id));
  if (isOld) return mapItems(list, (items) => items.map((item) => (item.id === summary.id ? summary : item)));
  const [first, ...others] = list.pages;
  const newest = first?.items[0];
  if (first === undefined || (newest !== undefined && newest.createdAt > summary.createdAt)) return list;
  return { ...list, pages: [{ ...first, items: [summary, ...first.items] }, ...others] };
}

/** The list without a draft that was deleted. */
export const withoutSummary = (list: SummaryList, campaignId: string): SummaryList =>
  mapItems(list, (items) => items.filter(({ id }) => id !== campaignId));

const mapItems = (
  list: SummaryList,
  change: (items: readonly CampaignSummary[]) => readonly CampaignSummary[],
): SummaryList => ({ ...list, pages: list.pages.map((page) => ({ ...page, items: change(page.items) })) });
