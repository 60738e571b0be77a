/** What is running, what waits, what went wrong. */
import { Paper, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { updatesQuery } from "../api/queries.ts";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { UpdateState } from "../parts/states.tsx";

const SHOWN = 50;

export function OverviewPage() {
  const { data, error, refetch } = useInfiniteQuery(updatesQuery());
  const updates = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Stack>
      <Title order={2}>Overview</Title>
      {error && <Failure error={error} retry={() => void refetch()} />}
      <Title order={3}>Updates</Title>
      {data && updates.length === 0 && <Empty title="No update yet" />}
      {updates.slice(0, SHOWN).map((update) => (
        <Paper key={update.id} withBorder p="sm">
          <UpdateState state={update.state} />{" "}
          <Link to="/devices/$endpoint" params={{ endpoint: update.endpoint }}>
            {update.endpoint}
          </Link>
          <Text size="sm">{update.sentence}</Text>
          <Text size="xs" c="dimmed">
            <Ago at={update.updatedAt} />
          </Text>
        </Paper>
      ))}
    </Stack>
  );
}
