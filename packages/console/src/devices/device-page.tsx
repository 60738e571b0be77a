/** One device: who it is, what runs on it, and what happened to it. */

import type { Device } from "@airlift/protocol/api/schemas";
import { Group, Paper, Skeleton, Stack, Text, Timeline, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { deviceQuery, timelineQuery, updateQuery } from "../api/queries.ts";
import { Ago } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { Presence, UpdateState } from "../parts/states.tsx";

const route = getRouteApi("/devices/$endpoint");

export function DevicePage() {
  const { endpoint } = route.useParams();
  const { data: device, error, refetch } = useQuery(deviceQuery(endpoint));
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  if (!device) return <Skeleton height={300} />;
  return (
    <Stack>
      <Group>
        <Title order={2}>{device.endpoint}</Title>
        <Presence presence={device.presence} />
      </Group>
      {device.updateId !== null && <CurrentUpdate id={device.updateId} />}
      <Paper withBorder p="md">
        <Facts device={device} />
      </Paper>
      <Title order={3}>Timeline</Title>
      <DeviceTimeline endpoint={endpoint} />
    </Stack>
  );
}

function CurrentUpdate({ id }: { readonly id: string }) {
  const { data: update } = useQuery(updateQuery(id));
  if (!update) return null;
  return (
    <Paper withBorder p="md">
      <Group>
        <UpdateState state={update.state} />
        <Text>{update.sentence}</Text>
      </Group>
    </Paper>
  );
}

function Facts({ device }: { readonly device: Device }) {
  const facts: readonly (readonly [string, ReactNode])[] = [
    ["Manufacturer", device.manufacturer],
    ["Model", device.model],
    ["Version", device.version],
    ["Hardware", device.hardware],
    ["Last seen", <Ago key="seen" at={device.lastSeenAt} />],
    ["Address", `${device.address} (${device.transport})`],
    ["LwM2M", `${device.lwm2mVersion}, binding ${device.binding}, lifetime ${device.lifetimeS} s`],
    ["Objects", device.objects.join(" ")],
  ];
  return (
    <dl className="pairs">
      {facts.map(([name, value]) => (
        <div key={name} className="pair">
          <dt>{name}</dt>
          <dd>{value ?? "–"}</dd>
        </div>
      ))}
    </dl>
  );
}

function DeviceTimeline({ endpoint }: { readonly endpoint: string }) {
  const { data, error } = useInfiniteQuery(timelineQuery(endpoint));
  if (error) return <Failure error={error} />;
  const events = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Timeline bulletSize={12} lineWidth={2}>
      {events.map((event) => (
        <Timeline.Item key={event.id}>
          <Text size="sm">{event.sentence}</Text>
          <Text size="xs" c="dimmed">
            <Ago at={event.at} />
          </Text>
        </Timeline.Item>
      ))}
    </Timeline>
  );
}
