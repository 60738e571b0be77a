/** What a campaign does by radio: its broadcasts, the airtime they took and have left, and what devices still miss. */
import type { BroadcastSection } from "@airlift/protocol/api/mesh";
import { Paper, Stack, Text, Title } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { ApiError, ask } from "../api/request.ts";
import { DeficitHistogram } from "../mesh/deficits.tsx";
import { bandText, spanText } from "../parts/amounts.ts";

/** null = the campaign has no broadcast, or the server no mesh. */
const broadcastQuery = (campaignId: string) =>
  queryOptions({
    queryKey: ["campaigns", "broadcast", campaignId],
    queryFn: async ({ signal }) =>
      await ask<BroadcastSection>(`campaigns/${encodeURIComponent(campaignId)}/broadcast`, { signal }).catch(
        (error) => {
          if (error instanceof ApiError && error.status === 404) return null;
          throw error;
        },
      ),
    refetchInterval: 5_000,
  });

export function BroadcastPart({ campaignId }: { readonly campaignId: string }) {
  const { data } = useQuery(broadcastQuery(campaignId));
  if (data == null || data.sessionCount === 0) return null;
  return (
    <Paper withBorder p="md" component="section" aria-label="Broadcast">
      <Stack gap="xs">
        <Title order={3} size="h4">
          Broadcast
        </Title>
        <Text size="sm">
          {data.sessionCount} session{data.sessionCount === 1 ? "" : "s"}, {data.runningCount} on the air or to come;{" "}
          {spanText(data.airtimeUsedMs / 1000)} of {spanText(data.airtimePlannedMs / 1000)} planned airtime used.
        </Text>
        <ul className="bars">
          {data.budgets.map(({ gatewayId, band, leftMs, budgetMs }) => (
            <li key={`${gatewayId} ${band}`}>
              <span className="anywhere">
                {gatewayId}, {bandText(band)}
              </span>
              <meter min={0} max={budgetMs} value={leftMs} aria-label={`airtime left at ${gatewayId}`} />
              <span>{spanText(leftMs / 1000)} left</span>
            </li>
          ))}
        </ul>
        <DeficitHistogram deficits={data.deficits} />
      </Stack>
    </Paper>
  );
}
