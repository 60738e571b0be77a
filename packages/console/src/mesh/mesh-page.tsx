/** Gateways with their cells and airtime, the broadcasts, and the groups of mesh devices. */
import { gatewayTroubles } from "@airlift/protocol/api/gateway-troubles";
import type { AirtimeSeries, Gateway, MeshGroup, MeshSession } from "@airlift/protocol/api/mesh";
import { Badge, Group, Paper, Skeleton, Stack, Text, Title } from "@mantine/core";
import { queryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { listOf } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { bandText } from "../parts/amounts.ts";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { Scrolls } from "../parts/scrolls.tsx";
import { TableHead } from "../parts/table-head.tsx";
import { useTitle } from "../parts/title.ts";
import { AirtimePlot } from "./airtime-plot.tsx";

/** No event tells of airtime, progress, or a gateway that falls silent: as long as the page is open it asks again. */
const WATCHED = { staleTime: 0 } as const;

const gatewaysQuery = () =>
  queryOptions({
    ...WATCHED,
    queryKey: ["gateways", "list"],
    queryFn: async ({ signal }) => (await ask<{ items: readonly Gateway[] }>("gateways", { signal })).items,
    refetchInterval: 10_000,
  });
const airtimeQuery = (gatewayId: string) =>
  queryOptions({
    ...WATCHED,
    queryKey: ["gateways", "airtime", gatewayId],
    queryFn: async ({ signal }) =>
      (await ask<AirtimeSeries>(`gateways/${encodeURIComponent(gatewayId)}/airtime`, { signal })).items,
    refetchInterval: 30_000,
  });
const sessionsQuery = () => ({
  ...listOf<MeshSession>(["mesh", "sessions"], "mesh/sessions"),
  ...WATCHED,
  refetchInterval: 5_000,
});
const groupsQuery = () =>
  queryOptions({
    ...WATCHED,
    queryKey: ["mesh", "groups"],
    queryFn: async ({ signal }) => (await ask<{ items: readonly MeshGroup[] }>("mesh/groups", { signal })).items,
  });

export function MeshPage() {
  useTitle("Mesh");
  const { data: gateways, error, isPending, refetch } = useQuery(gatewaysQuery());
  return (
    <Stack gap="md">
      <Title order={2}>Mesh</Title>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton height={200} />}
      {gateways?.length === 0 && (
        <Empty title="No gateway yet">
          <Text c="dimmed">A gateway is the radio edge of a mesh. Make one known, with the cells that hear it:</Text>
          <code className="mono">npx airlift gateway add ID --cell CELL</code>
          <Text c="dimmed">and start it with the token that this prints:</Text>
          <code className="mono">npx airlift gateway --server URL --token TOKEN --id ID --link kiss:/dev/ttyUSB0</code>
        </Empty>
      )}
      {gateways?.map((gateway) => (
        <GatewayPart key={gateway.id} gateway={gateway} />
      ))}
      <Title order={3}>Broadcasts</Title>
      <Sessions />
      <Title order={3}>Groups</Title>
      <Groups />
    </Stack>
  );
}

function GatewayPart({ gateway }: { readonly gateway: Gateway }) {
  const { id, cells, band, rateBps, isOnline, seenAt, orderCount, state } = gateway;
  const { data: bands } = useQuery(airtimeQuery(id));
  return (
    <Paper withBorder p="md" component="section" aria-label={`Gateway ${id}`}>
      <Stack gap="xs">
        <Group justify="space-between">
          <Title order={3} size="h4" className="anywhere">
            {id}
          </Title>
          <Badge variant="dot" color={isOnline ? "teal" : "gray"} tt="none">
            {isOnline ? "online" : "not heard"}
          </Badge>
        </Group>
        <Text size="sm" c="dimmed">
          {cells.length === 1 ? "cell" : "cells"} {cells.join(", ")} · {bandText(band)},{" "}
          {(rateBps / 1000).toLocaleString()} kbit/s · {orderCount} order{orderCount === 1 ? "" : "s"} open ·{" "}
          {seenAt === null ? "never heard" : <Ago at={seenAt} />}
        </Text>
        {state !== null &&
          gatewayTroubles(state).map(({ sentence }) => (
            <Text key={sentence} size="sm" c="orange" className="anywhere">
              It {sentence}
            </Text>
          ))}
        {bands?.map((series) => (
          <AirtimePlot key={series.band} {...series} />
        ))}
      </Stack>
    </Paper>
  );
}

function Sessions() {
  const { data, error } = useInfiniteQuery(sessionsQuery());
  if (error) return <Failure error={error} />;
  const sessions = data?.pages.flatMap(({ items }) => items) ?? [];
  if (sessions.length === 0) return <Text c="dimmed">Nothing has been broadcast.</Text>;
  return (
    <Scrolls label="Broadcasts">
      <table className="plain">
        <TableHead names={["Gateway", "Campaign", "Devices", "Sent", "State", "Since"]} />
        <tbody>
          {sessions.map(({ id, gatewayId, campaignId, deviceCount, progress, outcome, detail, createdAt }) => (
            <tr key={id}>
              <th scope="row" className="anywhere">
                {gatewayId}
              </th>
              <td>
                {campaignId === null ? (
                  "–"
                ) : (
                  <Link to="/campaigns/$id" params={{ id: campaignId }}>
                    {campaignId.slice(0, 8)}
                  </Link>
                )}
              </td>
              <td>{deviceCount.toLocaleString()}</td>
              <td className="value">{progress === null ? "–" : progressText(progress)}</td>
              <td className="anywhere value">
                {outcome ?? "under way"}
                {detail === null ? "" : `: ${detail}`}
              </td>
              <td>
                <Ago at={createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

function progressText({ tallies, state }: NonNullable<MeshSession["progress"]>): string {
  const sum = (count: "dataCount" | "repairCount") => tallies.reduce((total, tally) => total + tally[count], 0);
  return `${sum("dataCount").toLocaleString()} packets and ${sum("repairCount").toLocaleString()} of repair, ${state}`;
}

function Groups() {
  const { data, error } = useQuery(groupsQuery());
  if (error) return <Failure error={error} />;
  if (!data || data.length === 0) return <Text c="dimmed">No mesh device has been made known.</Text>;
  return (
    <Scrolls label="Groups of mesh devices">
      <table className="plain">
        <TableHead names={["Make and model", "Devices", "With the present key", "Key number"]} />
        <tbody>
          {data.map(({ id, manufacturer, model, deviceCount, keyCount, generation }) => (
            <tr key={id}>
              <th scope="row" className="anywhere">
                {manufacturer} {model}
              </th>
              <td>{deviceCount.toLocaleString()}</td>
              <td>{keyCount.toLocaleString()}</td>
              <td>{generation}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}
