/** What happened to a device, newest first. */
import { Button, Group, Skeleton, Text, Timeline } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { timelineQuery } from "../api/queries.ts";
import { Clipped } from "../parts/clipped.tsx";
import { DeviceMoment } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { toldOnce } from "../parts/told-once.ts";
import type { PartProps } from "./device-page.tsx";

/** Lines drawn at first, and at each click. */
const LINES = 100;

export function TimelinePart({ device }: PartProps) {
  const timeline = useInfiniteQuery(timelineQuery(device.endpoint));
  const { data, error, hasNextPage, fetchNextPage, isFetchingNextPage, refetch } = timeline;
  const [shown, setShown] = useState(LINES);
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={200} />;
  const events = toldOnce(data.pages.flatMap(({ items }) => items));
  if (events.length === 0) return <Empty title="Nothing has happened yet" />;
  const more = () => {
    setShown(shown + LINES);
    if (shown + LINES > events.length && hasNextPage) void fetchNextPage();
  };
  return (
    <>
      <Timeline bulletSize={12} lineWidth={2}>
        {events.slice(0, shown).map((event) => (
          <Timeline.Item key={event.id}>
            <Text size="sm" component="div">
              <Clipped text={event.sentence} />
            </Text>
            <Text size="xs" c="dimmed">
              <DeviceMoment at={event.at} zone={device} />
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
      {(shown < events.length || hasNextPage) && (
        <Group mt="md">
          <Button size="compact-sm" variant="default" loading={isFetchingNextPage} onClick={more}>
            Earlier
          </Button>
        </Group>
      )}
    </>
  );
}
