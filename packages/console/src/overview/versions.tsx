/** Which versions the fleet runs: now as bars, over the days as lines. */
import type { VersionDay } from "@airlift/protocol/api/statistics";
import { Progress, Skeleton, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { versionsQuery } from "../api/queries.ts";
import { Failure } from "../parts/notices.tsx";

/** Fetched when there is something to draw. */
const VersionsPlot = lazy(() => import("./versions-plot.tsx").then((file) => ({ default: file.VersionsPlot })));

/** Versions that have a bar and a line of their own. */
const SHOWN = 6;

export function Versions() {
  const { data, error, refetch } = useQuery(versionsQuery());
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={120} />;
  const today = data.days.at(-1);
  if (today === undefined) return <Text c="dimmed">No device has registered yet.</Text>;
  const versions = Object.entries(today.counts)
    .sort(([, a], [, b]) => b - a)
    .map(([version]) => version);
  return (
    <>
      <Bars day={today} versions={versions} />
      {data.days.length > 1 ? (
        <Suspense fallback={<Skeleton height={220} />}>
          <VersionsPlot days={data.days} versions={versions.slice(0, SHOWN)} />
        </Suspense>
      ) : (
        <Text size="sm" c="dimmed">
          Days are counted while a server runs; from tomorrow on there is a line to see.
        </Text>
      )}
    </>
  );
}

function Bars({ day, versions }: { readonly day: VersionDay; readonly versions: readonly string[] }) {
  const all = Object.values(day.counts).reduce((sum, count) => sum + count, day.otherCount);
  const named = versions.slice(0, SHOWN).map((version) => [version, day.counts[version] ?? 0] as const);
  const others = all - named.reduce((sum, [, count]) => sum + count, 0);
  return (
    <ul className="bars">
      {named.map(([version, count]) => (
        <li key={version}>
          <Link
            to="/devices"
            search={{ query: `version=="${version.replaceAll(/["\\]/g, "\\$&")}"` }}
            className="anywhere"
          >
            {version}
          </Link>
          <Progress value={all === 0 ? 0 : (count / all) * 100} aria-label={`Share of ${version}`} />
          <span>{count.toLocaleString()}</span>
        </li>
      ))}
      {others > 0 && (
        <li>
          <span>others, or not told</span>
          <Progress value={(others / all) * 100} color="gray" aria-label="Share of the others" />
          <span>{others.toLocaleString()}</span>
        </li>
      )}
    </ul>
  );
}
