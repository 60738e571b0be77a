import assert from "node:assert/strict";
import { test } from "node:test";
import { describeReachability } from "./reachability.ts";

const NOON_MS = Date.UTC(2026, 10, 22, 12);
const HOUR_MS = 3_600_000;

const sentence = (heardAgoMs: number, lifetimeS: number) => {
  const heardAtMs = -heardAgoMs;
  const facts = { state: "asleep" as const, heardAtMs, sinceMs: heardAtMs, awakeUntilMs: undefined };
  const clock = { utcMs: NOON_MS, offsetMs: NOON_MS };
  return describeReachability({ ...facts, nextExpectedAtMs: heardAtMs + lifetimeS * 1000 }, lifetimeS, clock)
    .reachability;
};

test("a sleeper's times are told to the minute, to the second where it sleeps shortly, with the day where it is not today", () => {
  assert.equal(sentence(HOUR_MS, 3 * 3600), "asleep since 11:00, next expected by 14:00 UTC (lifetime 10800 s)");
  assert.equal(sentence(10_000, 60), "asleep since 11:59:50, next expected by 12:00:50 UTC (lifetime 60 s)");
  assert.equal(
    sentence(20 * HOUR_MS, 86_400),
    "asleep since 2026-11-21 16:00, next expected by 16:00 UTC (lifetime 86400 s)",
  );
  assert.equal(
    sentence(HOUR_MS, 86_400),
    "asleep since 11:00, next expected by 2026-11-23 11:00 UTC (lifetime 86400 s)",
  );
});
