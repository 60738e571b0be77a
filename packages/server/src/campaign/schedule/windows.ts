/** When something may be begun: windows that cron opens, less the days on which nothing may. */
import { type Cron, strikesOn } from "./cron.ts";
import { dateText, dayOf, instantOf, wallOf, type Zone } from "./wall-clock.ts";

export interface Window {
  readonly cron: Cron;
  readonly durationMs: number;
}

/** Days "2026-12-24", both included, in the zone of whoever asks. */
export interface Blackout {
  readonly from: string;
  readonly to: string;
}

/** No windows = always, but for the blackouts. */
export interface Schedule {
  readonly windows: readonly Window[];
  readonly blackouts: readonly Blackout[];
}

export const ALWAYS_OPEN: Schedule = { windows: [], blackouts: [] };

/** A stretch of time: from (included) to (not included). */
export interface Opening {
  readonly fromMs: number;
  readonly toMs: number;
}

const DAY_MS = 86_400_000;
/** 29 February comes within eight years; what does not open until then never does. */
const HORIZON_DAYS = 8 * 366 + 1;
/** An endless opening, for want of windows. */
const FOREVER_MS = HORIZON_DAYS * DAY_MS;

/**
 * The opening that `utcMs` lies in, or the next one; `fromMs` is `utcMs` at the earliest. Undefined when there is none within eight
 * years: it never opens.
 */
export function nextOpening(schedule: Schedule, zone: Zone, utcMs: number): Opening | undefined {
  if (schedule.windows.length === 0) return afterBlackouts(schedule, zone, { fromMs: utcMs, toMs: utcMs + FOREVER_MS });
  let earliest: Opening | undefined;
  for (const window of schedule.windows) {
    const opening = nextOf(window, { schedule, zone, utcMs });
    if (opening && (!earliest || opening.fromMs < earliest.fromMs)) earliest = opening;
  }
  return earliest;
}

/** Whether something may be begun now. */
export function isOpen(schedule: Schedule, zone: Zone, utcMs: number): boolean {
  if (schedule.windows.length === 0 && schedule.blackouts.length === 0) return true;
  return nextOpening(schedule, zone, utcMs)?.fromMs === utcMs;
}

function nextOf(
  window: Window,
  { schedule, zone, utcMs }: { schedule: Schedule; zone: Zone; utcMs: number },
): Opening | undefined {
  const firstDay = dayOf(wallOf(utcMs - window.durationMs, zone)) - DAY_MS;
  const lastDay = dayOf(wallOf(utcMs, zone)) + HORIZON_DAYS * DAY_MS;
  for (let day = firstDay; day <= lastDay; day += DAY_MS) {
    if (!strikesOn(window.cron, day)) continue;
    for (const minute of window.cron.minutesOfDay) {
      const fromMs = instantOf(day + minute * 60_000, zone);
      const toMs = fromMs + window.durationMs;
      if (toMs <= utcMs) continue;
      const opening = afterBlackouts(schedule, zone, { fromMs: Math.max(fromMs, utcMs), toMs });
      if (opening) return opening;
    }
  }
  return undefined;
}

/** What is left of an opening when the blackouts are taken from its front, and its end when one begins within it. */
function afterBlackouts({ blackouts }: Schedule, zone: Zone, { fromMs, toMs }: Opening): Opening | undefined {
  let from = fromMs;
  for (let moved = true; moved; ) {
    moved = false;
    const date = dateText(wallOf(from, zone));
    const blackout = blackouts.find((one) => one.from <= date && date <= one.to);
    if (blackout) {
      const next = instantOf(Date.parse(blackout.to) + DAY_MS, zone);
      moved = next > from;
      from = Math.max(from, next);
    }
  }
  return from < toMs ? { fromMs: from, toMs } : undefined;
}
