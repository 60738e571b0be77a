/** The campaigns as the overview tells of them: those that run, and those that wait for an approval. */
import { Badge, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { listOf, serverQuery } from "../api/queries.ts";
import { useMay } from "../api/session.ts";

/** What of a campaign is told here. */
interface Line {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly sentence: string;
  readonly needsApproval: boolean;
  readonly approvedBy: string | null;
}

/** None while the server has no campaigns. */
function useCampaigns(): readonly Line[] {
  const { data: server } = useQuery(serverQuery());
  const { data } = useInfiniteQuery({
    ...listOf<Line>(["campaigns", "list"], "campaigns"),
    enabled: server?.nouns.includes("campaigns") === true,
  });
  return data?.pages.flatMap(({ items }) => items) ?? [];
}

export function Approvals() {
  const mayApprove = useMay("approver");
  const campaigns = useCampaigns();
  if (!mayApprove) return null;
  return (
    <CampaignLines
      campaigns={campaigns.filter(
        ({ needsApproval, approvedBy, state }) =>
          (needsApproval && approvedBy === null && state === "draft") || state === "paused",
      )}
    />
  );
}

export const RunningCampaigns = () => (
  <CampaignLines campaigns={useCampaigns().filter(({ state }) => state === "running")} />
);

const CampaignLines = ({ campaigns }: { readonly campaigns: readonly Line[] }) =>
  campaigns.length > 0 && (
    <ul className="lines">
      {campaigns.map(({ id, name, state, sentence }) => (
        <li key={id}>
          <Link to="/campaigns/$id" params={{ id }} className="anywhere">
            {name}
          </Link>{" "}
          <Badge variant="light" tt="none">
            {state}
          </Badge>
          <Text size="sm">{sentence}</Text>
        </li>
      ))}
    </ul>
  );
