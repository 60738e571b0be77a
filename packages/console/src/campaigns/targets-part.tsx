/** The devices of a campaign, each with why it stands where it stands. */
import type { Campaign, CampaignTarget } from "@airlift/protocol/api/campaign";
import type { Event } from "@airlift/protocol/api/schemas";
import { UPDATE_STATES } from "@airlift/protocol/update/device-update";
import { Button, Group, NativeSelect, Stack, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { useLiveWindow } from "../api/live-window.ts";
import { useMay } from "../api/session.ts";
import type { WindowedList } from "../api/windowed-list.ts";
import { Confirmation } from "../parts/confirmation.tsx";
import { Failure } from "../parts/notices.tsx";
import { RowLink } from "../parts/row-link.tsx";
import { UpdateState } from "../parts/states.tsx";
import { type Column, VirtualTable } from "../parts/virtual-rows.tsx";
import { wordsOf } from "./outcome-bar.tsx";
import { campaignQuery, retryDevices, type TargetFilter, targetsPage } from "./queries.ts";

const MAY_BE_RETRIED: readonly string[] = ["failed", "silent", "fellBack", "cancelled"];

export function TargetsPart({ campaign }: { readonly campaign: Campaign }) {
  const [filter, setFilter] = useState<TargetFilter>({});
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
      <TargetTable campaign={campaign} filter={filter} />
    </Stack>
  );
}

function withState({ state: _, ...rest }: TargetFilter, value: string): TargetFilter {
  const state = UPDATE_STATES.find((one) => one === value);
  return state === undefined ? rest : { ...rest, state };
}

const withWave = ({ wave: _, ...rest }: TargetFilter, value: string): TargetFilter =>
  value === "" ? rest : { ...rest, wave: Number(value) };

interface TargetTableProps {
  readonly campaign: Campaign;
  readonly filter: TargetFilter;
}

function TargetTable({ campaign, filter }: TargetTableProps) {
  const { id } = campaign;
  const fetchPage = useCallback((cursor: string | undefined) => targetsPage(id, filter, cursor), [id, filter]);
  const isTouchedBy = useCallback(({ campaignId }: Event) => campaignId === id, [id]);
  const list = useLiveWindow({ fetchPage, isTouchedBy });
  const navigate = useNavigate();
  // Here and not in its row: rows come and go while the dialog is open.
  const [retried, setRetried] = useState<string>();
  const columns = useColumns(campaign, setRetried);
  const failure = list.error && <Failure error={list.error} retry={() => list.retry()} />;
  if (failure && list.knownCount === 0) return failure;
  if (list.isComplete && list.knownCount === 0) return <Text c="dimmed">No device of the campaign is there.</Text>;
  return (
    <>
      {failure}
      <VirtualTable
        label="Devices of the campaign"
        columns={columns}
        count={countOf(list, campaign, filter)}
        rowAt={(index) => list.rowAt(index)}
        keyOf={({ endpoint }) => endpoint}
        onOpen={({ endpoint }) => void navigate({ to: "/devices/$endpoint", params: { endpoint } })}
        onSight={(first, last) => list.show(first, last)}
      />
      {retried !== undefined && <Retry campaign={campaign} endpoint={retried} onClose={() => setRetried(undefined)} />}
    </>
  );
}

/** Rows that the table has room for: before the end is known, as many as the campaign has, or one that is on its way. */
function countOf(list: WindowedList<CampaignTarget>, { counts, waves }: Campaign, { state, wave }: TargetFilter) {
  if (list.isComplete) return list.knownCount;
  const total = wave === undefined ? counts.total : (waves[wave]?.counts.total ?? 0);
  return Math.max(list.knownCount + 1, state === undefined ? total : 0);
}

interface RetryProps {
  readonly campaign: Campaign;
  readonly endpoint: string;
  readonly onClose: () => void;
}

function Retry({ campaign: { id }, endpoint, onClose }: RetryProps) {
  const client = useQueryClient();
  return (
    <Confirmation
      label={`Retry ${endpoint.slice(0, 40)}`}
      consequence={
        <span className="anywhere">
          {endpoint} gets another attempt, whatever the campaign's retry rules say: it downloads the image again, and
          installs it when its wave and windows allow.
        </span>
      }
      act={() => retryDevices(id, endpoint)}
      onDone={() => void client.invalidateQueries({ queryKey: campaignQuery(id).queryKey })}
      onClose={onClose}
    />
  );
}

function useColumns(campaign: Campaign, onRetry: (endpoint: string) => void): readonly Column<CampaignTarget>[] {
  const mayRetry = useMay("operator") && (campaign.state === "running" || campaign.state === "paused");
  const { waves } = campaign;
  return useMemo(
    () => [
      {
        name: "Device",
        width: "minmax(12rem, 1fr)",
        onCard: "title",
        cell: ({ endpoint }) => <RowLink path={`/devices/${encodeURIComponent(endpoint)}`} text={endpoint} />,
      },
      { name: "Wave", width: "7rem", cell: ({ wave }) => waves[wave]?.name ?? wave + 1 },
      { name: "State", width: "9rem", onCard: "mark", cell: ({ state }) => <UpdateState state={state} /> },
      { name: "Attempt", width: "5.5rem", cell: ({ attempt }) => attempt },
      {
        name: "Why",
        width: "minmax(24rem, 3fr)",
        onCard: "text",
        cell: ({ sentence }) => <span title={sentence}>{sentence}</span>,
      },
      ...(mayRetry ? [retryColumn(onRetry)] : []),
    ],
    [waves, mayRetry, onRetry],
  );
}

const retryColumn = (onRetry: (endpoint: string) => void): Column<CampaignTarget> => ({
  name: "",
  width: "6rem",
  cell: ({ endpoint, state }) =>
    MAY_BE_RETRIED.includes(state) && (
      <Button
        size="compact-sm"
        variant="default"
        aria-label={`Retry ${endpoint.slice(0, 40)}`}
        onClick={() => onRetry(endpoint)}
      >
        Retry
      </Button>
    ),
});
