/** The campaigns as the overview tells of them: those that run, and those that wait for somebody. */
import type { CampaignSummary } from "@airlift/protocol/api/campaign";
import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { serverQuery } from "../api/queries.ts";
import { useMay } from "../api/session.ts";
import { useCampaignList } from "../campaigns/campaign-list.ts";
import { CampaignState } from "../campaigns/campaign-state.tsx";

/** None while the server has no campaigns. */
function useCampaigns(): readonly CampaignSummary[] {
  const { data: server } = useQuery(serverQuery());
  const { data } = useCampaignList(server?.nouns.includes("campaigns") === true);
  return data?.pages.flatMap(({ items }) => items) ?? [];
}

/** Those that go no further without the one who looks: to be approved, or to be told to go on. */
export function useWaitingCampaigns(): readonly CampaignSummary[] {
  const may = { approve: useMay("approver"), resume: useMay("operator") };
  return useCampaigns().filter(
    ({ state }) => (state === "awaitingApproval" && may.approve) || (state === "paused" && may.resume),
  );
}

export const useRunningCampaigns = (): readonly CampaignSummary[] =>
  useCampaigns().filter(({ state }) => state === "running");

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
