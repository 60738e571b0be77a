/** What is running, what waits for the one who looks, what went wrong, and what the fleet runs. */
import type { Update } from "@airlift/protocol/api/schemas";
import { Skeleton, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { updatesQuery, versionsQuery } from "../api/queries.ts";
import { Ago } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { UpdateState } from "../parts/states.tsx";
import { useTitle } from "../parts/title.ts";
import { CampaignLines, useRunningCampaigns, useWaitingCampaigns } from "./campaign-lines.tsx";
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
        <section className="panel" aria-labelledby="wrong">
          <Title order={3} size="h4" id="wrong">
            Went wrong today
          </Title>
          <UpdateLines states={WENT_WRONG} isToday none="Nothing today." />
        </section>
        <Running />
      </div>
      <section className="panel" aria-labelledby="versions">
        <Title order={3} size="h4" id="versions">
          Devices by version
        </Title>
        <Versions />
      </section>
    </Stack>
  );
}

function Waiting() {
  const campaigns = useWaitingCampaigns();
  return (
    <section className="panel" aria-labelledby="waits">
      <Title order={3} size="h4" id="waits">
        Waits for you
      </Title>
      <CampaignLines campaigns={campaigns} />
      <UpdateLines
        states={["waitingToApply"]}
        none={campaigns.length === 0 ? "Nothing waits for a decision." : undefined}
      />
    </section>
  );
}

function Running() {
  const campaigns = useRunningCampaigns();
  return (
    <section className="panel" aria-labelledby="running">
      <Title order={3} size="h4" id="running">
        Running
      </Title>
      <CampaignLines campaigns={campaigns} />
      <UpdateLines states={RUNNING} none={campaigns.length === 0 ? "No update is under way." : undefined} />
    </section>
  );
}

function FleetLine() {
  const { data, error, refetch } = useQuery(versionsQuery());
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
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

interface UpdateLinesProps {
  readonly states: readonly Update["state"][];
  /** Only what ended since midnight where the viewer is. */
  readonly isToday?: boolean;
  /** What it says when there is none; undefined = nothing. */
  readonly none: string | undefined;
}

function UpdateLines({ states, isToday = false, none }: UpdateLinesProps) {
  const { data, error, refetch } = useInfiniteQuery(updatesQuery({ state: states, limit: 100 }));
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={60} />;
  const midnightMs = new Date().setHours(0, 0, 0, 0);
  const updates = data.pages
    .flatMap(({ items }) => items)
    .filter(({ finishedAt }) => !isToday || Date.parse(finishedAt ?? "") >= midnightMs);
  if (updates.length === 0) return none !== undefined && <Text c="dimmed">{none}</Text>;
  const more = updates.length - SHOWN;
  return (
    <>
      <ul className="lines">
        {updates.slice(0, SHOWN).map((update) => (
          <UpdateLine key={update.id} update={update} />
        ))}
      </ul>
      {more > 0 && (
        <Text size="sm" c="dimmed">
          and {more.toLocaleString()}
          {data.pages.at(-1)?.next === null ? "" : " or more"} others
        </Text>
      )}
    </>
  );
}

const UpdateLine = ({ update }: { readonly update: Update }) => (
  <li>
    <Link
      to="/devices/$endpoint"
      params={{ endpoint: update.endpoint }}
      search={{ part: "updates" }}
      className="anywhere"
    >
      {update.endpoint}
    </Link>{" "}
    <UpdateState state={update.state} />
    <Text size="sm">{update.sentence}</Text>
    <Text size="xs" c="dimmed">
      <Ago at={update.updatedAt} />
    </Text>
  </li>
);
