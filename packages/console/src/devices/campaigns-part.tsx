/** The running and paused campaigns that have a device, each with what the device waits for there. */
import { Paper, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { deviceCampaignsQuery } from "../api/queries.ts";
import { CampaignState } from "../campaigns/campaign-state.tsx";
import { Failure } from "../parts/notices.tsx";
import type { PartProps } from "./device-page.tsx";

/** Nothing when there are none. */
export function DeviceCampaigns({ device: { endpoint } }: PartProps) {
  const { data, error, refetch } = useQuery(deviceCampaignsQuery(endpoint));
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data || data.length === 0) return null;
  return (
    <Paper withBorder p="md" component="section" aria-label="Campaigns of the device">
      <ul className="lines">
        {data.map(({ campaignId, campaignName, campaignState, waveName, sentence }) => (
          <li key={campaignId}>
            <Link to="/campaigns/$id" params={{ id: campaignId }} className="anywhere">
              {campaignName}
            </Link>{" "}
            <CampaignState state={campaignState} />
            <Text size="sm" className="anywhere">
              wave {waveName}: {sentence}
            </Text>
          </li>
        ))}
      </ul>
    </Paper>
  );
}
