/** The updates of a device: where each stands and why, what can be done about it, and every exchange behind it. */
import type { Device, Update } from "@airlift/protocol/api/schemas";
import { Button, Group, Paper, Progress, Skeleton, Stack, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { updatesQuery } from "../api/queries.ts";
import { useImageName } from "../parts/image-name.ts";
import { DeviceMoment } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { UpdateState } from "../parts/states.tsx";
import type { PartProps } from "./device-page.tsx";
import { ExchangeTable } from "./exchange-table.tsx";
import { UpdateActions } from "./update-actions.tsx";

const useUpdates = ({ endpoint }: Device) => useInfiniteQuery(updatesQuery({ endpoint, limit: 50 }));

export function UpdatesPart({ device }: PartProps) {
  const { data, error, refetch, hasNextPage, fetchNextPage } = useUpdates(device);
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={100} />;
  const updates = data.pages.flatMap(({ items }) => items);
  if (updates.length === 0) return <Empty title="No update yet" />;
  return (
    <Stack>
      {updates.map((update) => (
        <UpdatePaper key={update.id} update={update} device={device} />
      ))}
      {hasNextPage && (
        <Button variant="default" onClick={() => void fetchNextPage()}>
          Earlier
        </Button>
      )}
    </Stack>
  );
}

/** The one under way, or the last. */
export function CurrentUpdate({ device }: PartProps) {
  const { data } = useUpdates(device);
  const update = data?.pages[0]?.items[0];
  return update ? <UpdatePaper update={update} device={device} /> : null;
}

function UpdatePaper({ update, device }: { readonly update: Update; readonly device: Device }) {
  const [isOpen, setOpen] = useState(false);
  const imageName = useImageName(update.imageId);
  return (
    <Paper withBorder p="md" component="article" aria-label={`Update to ${imageName}`}>
      <Stack gap="xs">
        <Group justify="space-between" align="start">
          <Group gap="xs">
            <UpdateState state={update.state} />
            {update.failure !== null && <span className="mono">{update.failure}</span>}
            {update.attempt > 1 && <Text size="sm">attempt {update.attempt}</Text>}
          </Group>
          <Group gap="xs">
            <UpdateActions update={update} />
            <Button size="compact-sm" variant="default" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
              Exchanges
            </Button>
          </Group>
        </Group>
        <Text className="anywhere">{update.sentence}</Text>
        <Transfer update={update} />
        <Text size="xs" c="dimmed">
          <Link to="/images/$id" params={{ id: update.imageId }}>
            {imageName}
          </Link>{" "}
          · {update.method ?? update.by} · {update.target} · <DeviceMoment at={update.since} zone={device} />
        </Text>
        {isOpen && <ExchangeTable updateId={update.id} zone={device} />}
      </Stack>
    </Paper>
  );
}

function Transfer({ update: { state, acknowledgedBytes, totalBytes } }: { readonly update: Update }) {
  if (state !== "transferring" || totalBytes === 0) return null;
  return (
    <Group gap="xs" wrap="nowrap">
      <Progress value={(acknowledgedBytes / totalBytes) * 100} flex={1} aria-label="Transferred" />
      <Text size="sm">
        {acknowledgedBytes.toLocaleString()} of {totalBytes.toLocaleString()} B
      </Text>
    </Group>
  );
}
