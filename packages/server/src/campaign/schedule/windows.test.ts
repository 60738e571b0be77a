import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCron } from "./cron.ts";
import { clockText, instantOf, namedZone, UTC, wallOf, type Zone, zoneOf } from "./wall-clock.ts";
import { type Blackout, isOpen, nextOpening, type Schedule } from "./windows.ts";

const HOUR_MS = 3_600_000;
/** Oslo in 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC. */
const offsetAt = (zone: string, utcMs: number): number | undefined => {
  if (zone !== "Europe/Oslo") return undefined;
  return utcMs >= Date.UTC(2026, 2, 29, 1) && utcMs < Date.UTC(2026, 9, 25, 1) ? 120 : 60;
};
const OSLO = namedZone("Europe/Oslo", offsetAt) ?? UTC;

const schedule = (cron: string, hours: number, blackouts: readonly Blackout[] = []): Schedule => ({
  windows: [{ cron: parseCron(cron), durationMs: hours * HOUR_MS }],
  blackouts,
});

const next = (one: Schedule, zone: Zone, from: string): string | undefined => {
  const opening = nextOpening(one, zone, Date.parse(from));
  return opening && new Date(opening.fromMs).toISOString().slice(0, 16);
};

test("a window opens at its cron in the device's zone, and is open until its end", () => {
  const night = schedule("0 2 * * *", 3);
  assert.equal(next(night, UTC, "2026-01-10T12:00Z"), "2026-01-11T02:00");
  assert.equal(next(night, OSLO, "2026-01-10T12:00Z"), "2026-01-11T01:00");
  assert.equal(isOpen(night, OSLO, Date.parse("2026-01-11T01:00Z")), true);
  assert.equal(isOpen(night, OSLO, Date.parse("2026-01-11T03:59Z")), true);
  assert.equal(isOpen(night, OSLO, Date.parse("2026-01-11T04:00Z")), false);
});

test("a window that goes over midnight is open on the other side", () => {
  assert.equal(isOpen(schedule("0 22 * * *", 8), UTC, Date.parse("2026-01-11T05:00Z")), true);
});

test("daylight saving: an hour that is left out counts as one later, one that comes twice counts the first time", () => {
  const night = schedule("30 2 * * *", 1);
  assert.equal(next(night, OSLO, "2026-03-29T00:00Z"), "2026-03-29T01:30");
  assert.equal(next(night, OSLO, "2026-10-24T12:00Z"), "2026-10-25T00:30");
  assert.equal(next(night, OSLO, "2026-10-25T01:30Z"), "2026-10-26T01:30");
});

test("cron: names, lists, steps, Sunday as 7, either day field is enough when both are restricted", () => {
  assert.equal(next(schedule("0 6 * * mon-fri", 1), UTC, "2026-01-10T12:00Z"), "2026-01-12T06:00");
  assert.equal(next(schedule("*/20 9-17/4 * * *", 0.1), UTC, "2026-01-10T13:50Z"), "2026-01-10T17:00");
  assert.equal(next(schedule("0 0 * * 7", 1), UTC, "2026-01-05T12:00Z"), "2026-01-11T00:00");
  assert.equal(next(schedule("0 0 13 * fri", 1), UTC, "2026-01-10T12:00Z"), "2026-01-13T00:00");
  assert.equal(next(schedule("0 0 29 feb *", 1), UTC, "2026-01-10T12:00Z"), "2028-02-29T00:00");
  for (const wrong of [
    "",
    "* * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "5-1 * * * *",
    "*/0 * * * *",
    "a * * * *",
    "1-2-3 * * * *",
  ])
    assert.throws(() => parseCron(wrong), { code: "CRON_SYNTAX" }, wrong);
});

test("a day of blackout is closed in the device's zone, and what never opens is found", () => {
  const days = [{ from: "2026-12-24", to: "2026-12-26" }];
  assert.equal(next(schedule("0 2 * * *", 1, days), UTC, "2026-12-24T00:00Z"), "2026-12-27T02:00");
  assert.equal(next({ windows: [], blackouts: days }, OSLO, "2026-12-25T12:00Z"), "2026-12-26T23:00");
  assert.equal(next(schedule("0 22 * * *", 8, days), UTC, "2026-12-26T23:30Z"), "2026-12-27T00:00");
  assert.equal(next(schedule("0 0 31 feb *", 1), UTC, "2026-01-01T00:00Z"), undefined);
  assert.equal(
    next(schedule("0 0 * * *", 1, [{ from: "2026-01-01", to: "2099-01-01" }]), UTC, "2026-05-01T00:00Z"),
    undefined,
  );
});

test("a device's zone is its time zone, else its offset, else the campaign's", () => {
  const name = (timeZone: string | null, utcOffset: string | null): string =>
    zoneOf({ timeZone, utcOffset }, "Europe/Oslo", offsetAt).name;
  assert.equal(name("Europe/Oslo", "+05:00"), "Europe/Oslo");
  assert.equal(name("Nowhere/At-all", "+05:30"), "+05:30");
  assert.equal(name(null, "UTC-3"), "UTC-3");
  assert.equal(name(null, "+99:00"), "Europe/Oslo");
  assert.equal(name(null, null), "Europe/Oslo");
  const now = Date.UTC(2026, 0, 1, 12);
  assert.equal(clockText(now + 13 * HOUR_MS, OSLO, now), "02:00 Europe/Oslo");
});

test("wall time to instant and back is the same, but for the hours that change", () => {
  fc.assert(
    fc.property(fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 0, 1) }), (utcMs) => {
      const wall = wallOf(utcMs, OSLO);
      const back = instantOf(wall, OSLO);
      assert.ok(
        back === utcMs || (wallOf(back, OSLO) === wall && back === utcMs - HOUR_MS),
        new Date(utcMs).toISOString(),
      );
    }),
  );
});
