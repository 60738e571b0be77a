/** The devices of a campaign, each with why it stands where it stands. */
import type { Campaign, CampaignTarget } from "@airlift/protocol/api/campaign";
import { UPDATE_STATES } from "@airlift/protocol/update/device-update";
import { Group, NativeSelect, Skeleton, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { useMay } from "../api/session.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { Failure } from "../parts/notices.tsx";
import { UpdateState } from "../parts/states.tsx";
import { type Column, VirtualRows } from "../parts/virtual-rows.tsx";
import { wordsOf } from "./outcome-bar.tsx";
import { retryDevices, type TargetFilter, targetsQuery } from "./queries.ts";

const MAY_BE_RETRIED: readonly string[] = ["failed", "silent", "fellBack", "cancelled"];

export function TargetsPart({ campaign }: { readonly campaign: Campaign }) {
  const [filter, setFilter] = useState<TargetFilter>({});
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage, isPending } = useInfiniteQuery(
    targetsQuery(campaign.id, filter),
  );
  const columns = useColumns(campaign);
  const targets = data?.pages.flatMap(({ items }) => items) ?? [];
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return (
    <Stack gap="sm">
      <Group>
        <NativeSelect
          label="State"
          value={filter.state ?? ""}
          data={[
            { value: "", label: "any" },
            ...UPDATE_STATES.map((state) => ({ value: state, label: wordsOf(state) })),
          ]}
          onChange={({ currentTarget: { value } }) => setFilter((old) => withState(old, value))}
        />
        <NativeSelect
          label="Wave"
          value={filter.wave ?? ""}
          data={[
            { value: "", label: "any" },
            ...campaign.waves.map(({ name }, index) => ({ value: `${index}`, label: `${index + 1}. ${name}` })),
          ]}
          onChange={({ currentTarget: { value } }) => setFilter((old) => withWave(old, value))}
        />
      </Group>
      {error && <Failure error={error} />}
      {isPending && <Skeleton height={200} />}
      {data && targets.length === 0 && <Text c="dimmed">No device of the campaign is there.</Text>}
      {targets.length > 0 && (
        <VirtualRows
          label="Devices of the campaign"
          columns={columns}
          rows={targets}
          keyOf={({ endpoint }) => endpoint}
          onEnd={onEnd}
        />
      )}
    </Stack>
  );
}

function withState({ state: _, ...rest }: TargetFilter, value: string): TargetFilter {
  const state = UPDATE_STATES.find((one) => one === value);
  return state === undefined ? rest : { ...rest, state };
}

const withWave = ({ wave: _, ...rest }: TargetFilter, value: string): TargetFilter =>
  value === "" ? rest : { ...rest, wave: Number(value) };

function useColumns(campaign: Campaign): readonly Column<CampaignTarget>[] {
  const mayRetry = useMay("operator") && (campaign.state === "running" || campaign.state === "paused");
  const client = useQueryClient();
  return [
    {
      name: "Device",
      width: "minmax(12rem, 1fr)",
      cell: ({ endpoint }) => (
        <Link to="/devices/$endpoint" params={{ endpoint }}>
          {endpoint}
        </Link>
      ),
    },
    { name: "Wave", width: "8rem", cell: ({ wave }) => campaign.waves[wave]?.name ?? wave + 1 },
    { name: "State", width: "9rem", cell: ({ state }) => <UpdateState state={state} /> },
    { name: "Attempt", width: "5.5rem", cell: ({ attempt }) => attempt },
    { name: "Why", width: "minmax(24rem, 3fr)", cell: ({ sentence }) => <span title={sentence}>{sentence}</span> },
    {
      name: "",
      width: "6rem",
      cell: ({ endpoint, state }) =>
        mayRetry &&
        MAY_BE_RETRIED.includes(state) && (
          <ActionButton
            label={`Retry ${endpoint.slice(0, 40)}`}
            short="Retry"
            consequence="The device gets another attempt, whatever its retry rules say."
            act={() => retryDevices(campaign.id, endpoint)}
            onDone={() => void client.invalidateQueries({ queryKey: ["campaigns"] })}
          />
        ),
    },
  ];
}
