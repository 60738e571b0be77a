/** Whether a device can be reached, as the API says it. */
import type { Reachability } from "@airlift/protocol/api/schemas";
import type { PresenceFacts } from "../fleet/presence.ts";

/** The wall clock: now, and what turns the facts' instants into its milliseconds. */
export interface WallClock {
  readonly utcMs: number;
  readonly offsetMs: number;
}

/** Within so little time the minute alone would not tell two instants apart. */
const SHORT_SLEEP_MS = 600_000;

export function describeReachability(
  facts: PresenceFacts,
  lifetimeS: number | undefined,
  { utcMs, offsetMs }: WallClock,
): Reachability {
  const { state, sinceMs, awakeUntilMs, nextExpectedAtMs } = facts;
  const iso = (atMs: number | undefined) =>
    atMs === undefined ? null : new Date(within(atMs + offsetMs)).toISOString();
  const today = new Date(utcMs).toISOString().slice(0, 10);
  const isShort = nextExpectedAtMs !== undefined && nextExpectedAtMs - facts.heardAtMs < SHORT_SLEEP_MS;
  const clock = (atMs: number | undefined) => {
    const [day, time = "?"] = iso(atMs)?.split("T") ?? [today];
    const shown = time.slice(0, isShort ? 8 : 5);
    return day === today ? shown : `${day} ${shown}`;
  };
  const next = `${clock(nextExpectedAtMs)} UTC (lifetime ${lifetimeS ?? "?"} s)`;
  const sentences: Readonly<Record<PresenceFacts["state"], string>> = {
    absent: "not registered",
    awake:
      awakeUntilMs === undefined ? "awake: it always listens" : `awake until ${iso(awakeUntilMs)?.slice(11, 19)} UTC`,
    asleep: `asleep since ${clock(sinceMs)}, next expected by ${next}`,
    away: `away since ${clock(sinceMs)} until it comes back: only the device can begin a session or connection; next expected by ${next}`,
    unknown: `silent since ${clock(facts.heardAtMs)} although it was expected by ${next}`,
  };
  return {
    awake: state === "absent" || state === "away" ? "unknown" : state,
    awakeUntil: iso(awakeUntilMs),
    nextExpectedAt: iso(nextExpectedAtMs),
    reachability: sentences[state],
  };
}

/** A lifetime may reach behind what a calendar can show. */
const within = (utcMs: number): number => Math.min(utcMs, Date.UTC(9999, 11, 31));
