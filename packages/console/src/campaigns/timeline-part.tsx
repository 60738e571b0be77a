/** What happened in a campaign, newest first. Lines are put on top as they come; those that are here are not asked for again. */
import type { Event } from "@airlift/protocol/api/schemas";
import { Button, Group, Skeleton, Stack, Text, Timeline } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Clipped } from "../parts/clipped.tsx";
import { Ago, clockTime } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { toldOnce } from "../parts/told-once.ts";
import { campaignEventsQuery } from "./queries.ts";

export function TimelinePart({ campaignId }: { readonly campaignId: string }) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    ...campaignEventsQuery(campaignId),
    // What came while nobody looked was not put on top.
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={200} />;
  const events = toldOnce(data.pages.flatMap(({ items }) => items));
  if (events.length === 0) return <Empty title="Nothing has happened yet" />;
  return (
    <Stack>
      <Timeline bulletSize={12} lineWidth={2}>
        {events.map((event) => (
          <Timeline.Item key={event.id}>
            <Line event={event} />
          </Timeline.Item>
        ))}
      </Timeline>
      {hasNextPage && (
        <Group className="no-print">
          <Button size="compact-sm" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Earlier
          </Button>
        </Group>
      )}
    </Stack>
  );
}

const Line = ({ event: { endpoint, sentence, at } }: { readonly event: Event }) => (
  <>
    <Text size="sm" component="div" className="anywhere">
      {endpoint !== null && (
        <>
          <Link to="/devices/$endpoint" params={{ endpoint }}>
            {endpoint}
          </Link>
          {": "}
        </>
      )}
      <Clipped text={sentence} />
    </Text>
    <Text size="xs" c="dimmed">
      <Ago at={at} /> · {clockTime(Date.parse(at))}
    </Text>
  </>
);
