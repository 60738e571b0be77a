/** What is running, what waits for the one who looks, what went wrong, and what the fleet runs. */
import type { Update } from "@airlift/protocol/api/schemas";
import { Skeleton, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useId } from "react";
import { updatesQuery, versionsQuery } from "../api/queries.ts";
import { useTitle } from "../parts/title.ts";
import { UpdateLine } from "../parts/update-line.tsx";
import { CampaignLines, useCampaigns, useWaitingCampaigns } from "./campaign-lines.tsx";
import { PanelBody, type Told } from "./told.tsx";
import { Versions } from "./versions.tsx";

const RUNNING = ["queued", "waiting", "transferring", "downloaded", "applying", "confirming"] as const;
const WENT_WRONG = ["failed", "fellBack", "silent"] as const;
/** Lines of one list here; a link leads to the rest. */
const SHOWN = 8;

export function OverviewPage() {
  useTitle("Overview");
  return (
    <Stack gap="lg">
      <Title order={2}>Overview</Title>
      <FleetLine />
      <div className="columns">
        <Waiting />
        <WentWrong />
        <Running />
      </div>
      <Panel name="Devices by version">
        <Versions />
      </Panel>
    </Stack>
  );
}

function Panel({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  const id = useId();
  return (
    <section className="panel" aria-labelledby={id}>
      <Title order={3} size="h4" id={id}>
        {name}
      </Title>
      {children}
    </section>
  );
}

function Waiting() {
  const campaigns = useWaitingCampaigns();
  const updates = useUpdates(["waitingToApply"]);
  return (
    <Panel name="Waits for you">
      <PanelBody told={[...campaigns, updates]} none="Nothing waits for a decision.">
        <CampaignLines campaigns={campaigns.flatMap(({ items }) => items ?? [])} />
        <UpdateLines updates={updates} />
      </PanelBody>
    </Panel>
  );
}

function WentWrong() {
  const updates = useUpdates(WENT_WRONG, new Date().setHours(0, 0, 0, 0));
  return (
    <Panel name="Went wrong today">
      <PanelBody told={[updates]} none="Nothing today.">
        <UpdateLines updates={updates} />
      </PanelBody>
    </Panel>
  );
}

function Running() {
  const campaigns = useCampaigns("running");
  const updates = useUpdates(RUNNING);
  return (
    <Panel name="Running">
      <PanelBody told={[campaigns, updates]} none="No update is under way.">
        <CampaignLines campaigns={campaigns.items ?? []} />
        <UpdateLines updates={updates} />
      </PanelBody>
    </Panel>
  );
}

function FleetLine() {
  const { data, error } = useQuery(versionsQuery());
  // Why is said below, where the same question is asked.
  if (error && !data) return <Text c="dimmed">How many devices there are is not known.</Text>;
  if (!data) return <Skeleton height={24} width={280} />;
  return (
    <Text>
      <Link to="/devices" search={{ query: "presence==registered" }}>
        {data.registeredCount.toLocaleString()} {data.registeredCount === 1 ? "device" : "devices"} registered
      </Link>
      {data.goneCount > 0 && (
        <>
          {" "}
          ·{" "}
          <Link to="/devices" search={{ query: "presence=in=(expired,deregistered)" }}>
            {data.goneCount.toLocaleString()} gone
          </Link>
        </>
      )}
    </Text>
  );
}

interface ToldUpdates extends Told<Update> {
  /** The server has more than were asked for. */
  readonly hasMore: boolean;
}

/** @param sinceMs Only what ended since. */
function useUpdates(states: readonly Update["state"][], sinceMs?: number): ToldUpdates {
  const { data, error, refetch, hasNextPage } = useInfiniteQuery(updatesQuery({ state: states, limit: 100 }));
  const isAsked = ({ finishedAt }: Update) => sinceMs === undefined || Date.parse(finishedAt ?? "") >= sinceMs;
  return {
    items: data?.pages.flatMap(({ items }) => items).filter(isAsked),
    error,
    retry: () => void refetch(),
    hasMore: hasNextPage,
  };
}

function UpdateLines({ updates: { items = [], hasMore } }: { readonly updates: ToldUpdates }) {
  const more = items.length - SHOWN;
  return (
    <>
      {items.length > 0 && (
        <ul className="lines">
          {items.slice(0, SHOWN).map((update) => (
            <UpdateLine key={update.id} update={update} />
          ))}
        </ul>
      )}
      {more > 0 && (
        <Text size="sm" c="dimmed">
          and {more.toLocaleString()}
          {hasMore ? " or more" : ""} {more === 1 && !hasMore ? "other" : "others"}
        </Text>
      )}
    </>
  );
}
