/** Whether a device can be reached, as the API says it. */
import type { Reachability } from "@airlift/protocol/api/schemas";
import type { PresenceFacts } from "../fleet/presence.ts";

/** @param offsetMs What turns the facts' instants into wall-clock milliseconds. */
export function describeReachability(
  facts: PresenceFacts,
  lifetimeS: number | undefined,
  offsetMs: number,
): Reachability {
  const { state, sinceMs, awakeUntilMs, nextExpectedAtMs } = facts;
  const iso = (atMs: number | undefined) =>
    atMs === undefined ? null : new Date(within(atMs + offsetMs)).toISOString();
  const minute = (atMs: number | undefined) => iso(atMs)?.slice(11, 16) ?? "?";
  const next = `${minute(nextExpectedAtMs)} UTC (lifetime ${lifetimeS ?? "?"} s)`;
  const sentences: Readonly<Record<PresenceFacts["state"], string>> = {
    absent: "not registered",
    awake:
      awakeUntilMs === undefined ? "awake: it always listens" : `awake until ${iso(awakeUntilMs)?.slice(11, 19)} UTC`,
    asleep: `asleep since ${minute(sinceMs)}, next expected by ${next}`,
    unknown: `silent since ${minute(facts.heardAtMs)} although it was expected by ${next}`,
  };
  return {
    awake: state === "absent" ? "unknown" : state,
    awakeUntil: iso(awakeUntilMs),
    nextExpectedAt: iso(nextExpectedAtMs),
    reachability: sentences[state],
  };
}

/** A lifetime may reach behind what a calendar can show. */
const within = (utcMs: number): number => Math.min(utcMs, Date.UTC(9999, 11, 31));
