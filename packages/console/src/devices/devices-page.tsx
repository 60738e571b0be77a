/** All devices, as many as there are. */

import type { Device } from "@airlift/protocol/api/schemas";
import { Button, Group, Skeleton, Stack, Text, TextInput, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type FormEvent, useCallback, useMemo, useState } from "react";
import { devicesQuery } from "../api/queries.ts";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { Presence } from "../parts/states.tsx";
import { type Column, VirtualRows } from "../parts/virtual-rows.tsx";

const route = getRouteApi("/devices");

const COLUMNS: readonly Column<Device>[] = [
  {
    name: "Endpoint",
    width: "minmax(14rem, 2fr)",
    cell: ({ endpoint }) => (
      <Link to="/devices/$endpoint" params={{ endpoint }}>
        {endpoint}
      </Link>
    ),
  },
  { name: "Presence", width: "9rem", cell: ({ presence }) => <Presence presence={presence} /> },
  { name: "Version", width: "8rem", cell: ({ version }) => version ?? "–" },
  { name: "Manufacturer", width: "minmax(8rem, 1fr)", cell: ({ manufacturer }) => manufacturer ?? "–" },
  { name: "Model", width: "minmax(8rem, 1fr)", cell: ({ model }) => model ?? "–" },
  { name: "Last seen", width: "8rem", cell: ({ lastSeenAt }) => <Ago at={lastSeenAt} /> },
];

export function DevicesPage() {
  const { query } = route.useSearch();
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage, isPending, refetch } = useInfiniteQuery(
    devicesQuery(query),
  );
  const devices = useMemo(() => data?.pages.flatMap(({ items }) => items) ?? [], [data]);
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2}>Devices</Title>
        <Text size="sm" c="dimmed" role="status">
          {devices.length.toLocaleString()}
          {hasNextPage ? " shown, more below" : " in all"}
        </Text>
      </Group>
      <QueryForm key={query ?? ""} initial={query ?? ""} />
      {error && <Failure error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton height={300} />}
      {data && devices.length === 0 && <NoDevices isFiltered={query !== undefined} />}
      {devices.length > 0 && (
        <VirtualRows
          label="Devices"
          columns={COLUMNS}
          rows={devices}
          keyOf={({ endpoint }) => endpoint}
          onEnd={onEnd}
        />
      )}
    </Stack>
  );
}

function QueryForm({ initial }: { readonly initial: string }) {
  const navigate = route.useNavigate();
  const [text, setText] = useState(initial);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void navigate({ search: text.trim() === "" ? {} : { query: text.trim() } });
  };
  return (
    <form onSubmit={submit}>
      <Group align="end" gap="xs">
        <TextInput
          flex={1}
          label="Query"
          placeholder="model==Sensor;version=lt=2.0"
          value={text}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
        />
        <Button type="submit" variant="default">
          Show
        </Button>
      </Group>
    </form>
  );
}

const NoDevices = ({ isFiltered }: { readonly isFiltered: boolean }) =>
  isFiltered ? (
    <Empty title="No device matches">
      <Text c="dimmed">Try a shorter query.</Text>
    </Empty>
  ) : (
    <Empty title="No device has registered yet">
      <Text c="dimmed">Point one at this server, or start one here:</Text>
      <code className="mono">npx airlift device --endpoint first --server coap://127.0.0.1 --allow-unsigned</code>
    </Empty>
  );
