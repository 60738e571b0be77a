/** All campaigns, in step with their events: of a list of any length only the campaigns that something happened to are asked for again. */
import type { CampaignSummary } from "@airlift/protocol/api/campaign";
import { type QueryClient, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { liveFeed } from "../api/live-feed.ts";
import { soon } from "../api/soon.ts";
import { isMissing } from "../parts/notices.tsx";
import { campaignSummary, campaignsQuery } from "./queries.ts";
import { type SummaryList, withoutSummary, withSummary } from "./summary-list.ts";

/** When more than these changed at once, the list is asked for as a whole: that is fewer questions. */
const MOST_AT_ONCE = 20;

/** @param isEnabled False = nothing is asked, and nothing is known. */
export function useCampaignList(isEnabled = true) {
  const client = useQueryClient();
  useEffect(() => {
    const changed = new Set<string>();
    const refresh = soon(() => {
      const ids = [...changed];
      changed.clear();
      if (ids.length > MOST_AT_ONCE) void client.invalidateQueries({ queryKey: campaignsQuery().queryKey });
      else for (const id of ids) void refreshOne(client, id);
    });
    const stopEvents = liveFeed.onEvent(({ kind, campaignId }) => {
      if (campaignId === null || !/^(campaign|wave)\./.test(kind)) return;
      changed.add(campaignId);
      refresh.ask();
    });
    return () => {
      stopEvents();
      refresh.stop();
      // From here on nobody keeps it in step: whoever looks next asks again.
      void client.invalidateQueries({ queryKey: campaignsQuery().queryKey, refetchType: "none" });
    };
  }, [client]);
  return useInfiniteQuery({ ...campaignsQuery(), enabled: isEnabled });
}

async function refreshOne(client: QueryClient, id: string): Promise<void> {
  const { queryKey } = campaignsQuery();
  if (client.getQueryData(queryKey) === undefined) return;
  const change = (how: (list: SummaryList) => SummaryList) =>
    client.setQueryData<SummaryList>(queryKey, (list) => list && how(list));
  await campaignSummary(id).then(
    (summary: CampaignSummary) => change((list) => withSummary(list, summary)),
    (error: unknown) => {
      if (isMissing(error)) change((list) => withoutSummary(list, id));
      // Whatever else it was: the list says itself what keeps it from being asked for.
      else void client.invalidateQueries({ queryKey });
    },
  );
}
