/** The campaigns as the overview tells of them: those that run, and those that wait for somebody. */
import type { CampaignSummary } from "@airlift/protocol/api/campaign";
import { Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { listOf, serverQuery } from "../api/queries.ts";
import { useMay } from "../api/session.ts";
import { CampaignState } from "../campaigns/campaign-state.tsx";
import type { Told } from "./told.tsx";

const campaignsQuery = (state: CampaignSummary["state"]) =>
  listOf<CampaignSummary>(["campaigns", "list"], "campaigns", { state });

/** Those in this state; none when the server has no campaigns, or when it is not this person's to care. */
export function useCampaigns(state: CampaignSummary["state"], isWanted = true): Told<CampaignSummary> {
  const server = useQuery(serverQuery());
  const hasCampaigns = server.data?.nouns.includes("campaigns");
  const campaigns = useInfiniteQuery({ ...campaignsQuery(state), enabled: isWanted && hasCampaigns === true });
  const isNone = !isWanted || hasCampaigns === false;
  const asked = hasCampaigns === undefined ? server : campaigns;
  return {
    items: isNone ? [] : campaigns.data?.pages.flatMap(({ items }) => items),
    error: isNone ? null : asked.error,
    retry: () => void asked.refetch(),
  };
}

/** Those that go no further without the one who looks: to be approved, or to be told to go on. */
export function useWaitingCampaigns(): readonly Told<CampaignSummary>[] {
  const may = { approve: useMay("approver"), resume: useMay("operator") };
  return [useCampaigns("awaitingApproval", may.approve), useCampaigns("paused", may.resume)];
}

export const CampaignLines = ({ campaigns }: { readonly campaigns: readonly CampaignSummary[] }) =>
  campaigns.length > 0 && (
    <ul className="lines">
      {campaigns.map(({ id, name, state, sentence }) => (
        <li key={id}>
          <Link to="/campaigns/$id" params={{ id }} className="anywhere">
            {name}
          </Link>{" "}
          <CampaignState state={state} />
          <Text size="sm">{sentence}</Text>
        </li>
      ))}
    </ul>
  );
