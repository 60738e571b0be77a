/** All campaigns, newest first. */
import { Button, Group, Paper, Skeleton, Stack, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMay } from "../api/session.ts";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { useCampaignList } from "./campaign-list.ts";
import { CampaignState } from "./campaign-state.tsx";
import { OutcomeBar } from "./outcome-bar.tsx";

export function CampaignsPage() {
  useTitle("Campaigns");
  const mayCreate = useMay("operator");
  const { data, error, isPending, refetch, hasNextPage, fetchNextPage } = useCampaignList();
  const campaigns = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2}>Campaigns</Title>
        {mayCreate && <NewCampaignButton />}
      </Group>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton height={200} />}
      {data && campaigns.length === 0 && (
        <Empty title="No campaign yet">
          <Text c="dimmed">A campaign brings an image to many devices, wave by wave, and stops by itself.</Text>
        </Empty>
      )}
      {campaigns.map(({ id, name, state, sentence, counts, createdAt, createdBy, rollbackOf }) => (
        <Paper key={id} withBorder p="md">
          <Stack gap="xs">
            <Group justify="space-between" wrap="nowrap">
              <Title order={3} size="h4" className="anywhere">
                <Link to="/campaigns/$id" params={{ id }}>
                  {name}
                </Link>
              </Title>
              <CampaignState state={state} />
            </Group>
            <Text size="sm">{sentence}</Text>
            <OutcomeBar counts={counts} />
            <Text size="xs" c="dimmed">
              {rollbackOf === null ? "created" : "prepared to undo another campaign"} by {createdBy},{" "}
              <Ago at={createdAt} />
            </Text>
          </Stack>
        </Paper>
      ))}
      {hasNextPage && (
        <Button variant="default" onClick={() => void fetchNextPage()}>
          Older campaigns
        </Button>
      )}
    </Stack>
  );
}

const NewCampaignButton = () => (
  <Button renderRoot={(props) => <Link to="/campaigns/new" {...props} />}>New campaign …</Button>
);
