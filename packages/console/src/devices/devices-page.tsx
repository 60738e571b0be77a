/** The fleet: every device the server knows, narrowed by a query. */
import type { Device, Event } from "@airlift/protocol/api/schemas";
import { Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { useLiveWindow } from "../api/live-window.ts";
import { type Page, pathOf, previewQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import type { DevicesSearch } from "../app/router.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { useStored } from "../parts/stored.ts";
import { useTitle } from "../parts/title.ts";
import { VirtualTable } from "../parts/virtual-rows.tsx";
import { ColumnChoice } from "./column-choice.tsx";
import { DEVICE_COLUMNS, USUAL_COLUMNS } from "./device-columns.tsx";
import { DownloadButton } from "./download-button.tsx";
import { QueryBar } from "./query-bar.tsx";

const route = getRouteApi("/devices");
const PAGE_ROWS = 500;

export function DevicesPage() {
  useTitle("Devices");
  const search = route.useSearch();
  const [keys, setKeys] = useStored("columns", USUAL_COLUMNS);
  const columns = DEVICE_COLUMNS.filter(({ key }) => keys.includes(key));
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2}>Devices</Title>
        <Group gap="xs">
          <Count query={search.query} />
          <ColumnChoice keys={keys} onChange={setKeys} />
          <DownloadButton search={search} columns={columns} />
        </Group>
      </Group>
      <QueryBar key={search.query ?? ""} search={search} />
      <DeviceTable search={search} keys={keys} />
    </Stack>
  );
}

function Count({ query }: { readonly query: string | undefined }) {
  const { data } = useQuery(previewQuery(query));
  return (
    // What was asked for is told; how many there are at all changes whenever one comes.
    <Text size="sm" c="dimmed" role={query === undefined ? undefined : "status"}>
      {data &&
        `${data.isExact ? "" : "about "}${data.count.toLocaleString()} ${query === undefined ? "in all" : "found"}`}
    </Text>
  );
}

const changesDevices = ({ kind }: Event): boolean =>
  kind.startsWith("device.") ? kind !== "device.value" : kind === "update.transition";

interface DeviceTableProps {
  readonly search: DevicesSearch;
  readonly keys: readonly string[];
}

function DeviceTable({ search, keys }: DeviceTableProps) {
  const { query, sort } = search;
  const fetchPage = useCallback(
    (cursor: string | undefined) => ask<Page<Device>>(pathOf("devices", { query, sort, cursor, limit: PAGE_ROWS })),
    [query, sort],
  );
  const list = useLiveWindow({ fetchPage, isTouchedBy: changesDevices });
  const { data: preview } = useQuery(previewQuery(query));
  const navigate = useNavigate();
  const columns = useMemo(() => {
    const onSort = () =>
      void navigate({
        to: "/devices",
        search: { ...(query && { query }), ...(!sort && { sort: "-endpoint" as const }) },
      });
    const sorted = sort === undefined ? ("ascending" as const) : ("descending" as const);
    const chosen = DEVICE_COLUMNS.filter(({ key }) => keys.includes(key));
    return chosen.map((column) => (column.key === "endpoint" ? { ...column, onSort, sorted } : column));
  }, [keys, navigate, query, sort]);
  const failure = list.error && <Failure error={list.error} retry={() => list.retry()} />;
  if (failure && list.knownCount === 0) return failure;
  if (list.isComplete && list.knownCount === 0) return <NoDevices isFiltered={query !== undefined} />;
  return (
    <>
      {failure}
      <VirtualTable
        label="Devices"
        columns={columns}
        // What is not known yet can be scrolled to all the same.
        count={list.isComplete ? list.knownCount : Math.max(list.knownCount + 1, preview?.count ?? 0)}
        rowAt={(index) => list.rowAt(index)}
        keyOf={({ endpoint }) => endpoint}
        onOpen={({ endpoint }) => void navigate({ to: "/devices/$endpoint", params: { endpoint } })}
        onSight={(first, last) => list.show(first, last)}
      />
    </>
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
