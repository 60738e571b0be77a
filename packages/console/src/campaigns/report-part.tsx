/** The campaign on paper: where its waves stand, and every device that it did not bring its image to, with why. */
import type { Campaign, CampaignTarget } from "@airlift/protocol/api/campaign";
import { Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Moment } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { ShortTable } from "../parts/short-table.tsx";
import { Board } from "./board.tsx";
import { wordsOf } from "./outcome-bar.tsx";
import { targetsPage } from "./queries.ts";

/** What a report is read for, the worst first. */
const BAD = ["failed", "fellBack", "silent", "cancelled", "skipped"] as const;

/** On paper nobody can point at a time to see its zone. */
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Of each state those that fit on some pages; it is worked out anew when somebody asks. */
const reportQuery = (id: string) =>
  queryOptions({
    queryKey: ["campaignReport", id],
    queryFn: async () => {
      const pages = await Promise.all(BAD.map((state) => targetsPage(id, { state }, undefined)));
      return { targets: pages.flatMap(({ items }) => items), isWhole: pages.every(({ next }) => next === null) };
    },
    staleTime: 0,
    refetchOnWindowFocus: false,
  });

export function ReportPart({ campaign }: { readonly campaign: Campaign }) {
  const { data, error, refetch, dataUpdatedAt } = useQuery(reportQuery(campaign.id));
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={200} />;
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          As of <Moment at={new Date(dataUpdatedAt).toISOString()} />, by the clock of {ZONE}
        </Text>
        <Group gap="xs" className="no-print">
          <Button size="compact-sm" variant="default" onClick={() => void refetch()}>
            Look again
          </Button>
          <Button size="compact-sm" onClick={() => window.print()}>
            Print
          </Button>
        </Group>
      </Group>
      <Board campaign={campaign} />
      <Title order={3} size="h4">
        Devices without it
      </Title>
      {data.targets.length === 0 ? (
        <Text>{campaign.counts.total === 0 ? "It has no devices." : "None has ended without it so far."}</Text>
      ) : (
        <BadTable campaign={campaign} targets={data.targets} />
      )}
      {!data.isWhole && (
        <Text size="sm">There are more: the part Devices lists all of them, by state and by wave.</Text>
      )}
    </Stack>
  );
}

interface BadTableProps {
  readonly campaign: Campaign;
  readonly targets: readonly CampaignTarget[];
}

const BadTable = ({ campaign: { waves }, targets }: BadTableProps) => (
  <ShortTable
    label="Devices without it"
    columns={[
      { name: "Device", onCard: "title", cell: ({ endpoint }) => endpoint },
      { name: "Wave", cell: ({ wave }) => waves[wave]?.name ?? wave + 1 },
      { name: "State", onCard: "mark", cell: ({ state }) => wordsOf(state) },
      { name: "Attempts", cell: ({ attempt }) => attempt },
      { name: "Why", onCard: "text", cell: ({ sentence }) => sentence },
    ]}
    rows={targets}
    keyOf={({ endpoint }) => endpoint}
  />
);
