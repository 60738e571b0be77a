/** Times in the viewer's zone, the full instant on hover, and the clock of the device beside them where it is known. */
import type { MouseEvent } from "react";
import { useNow } from "./now.ts";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** "14:02:07". */
export const clockTime = (utcMs: number): string => CLOCK.format(utcMs);

/** "3 min ago", "in 2 h": the largest whole unit. A clock that runs ahead of ours shows as it is. */
export function relativeTime(utcMs: number, nowMs: number): string {
  const seconds = Math.round((nowMs - utcMs) / 1000);
  const size = Math.abs(seconds);
  if (size < 2) return "now";
  const amount = amountOf(size);
  return seconds < 0 ? `in ${amount}` : `${amount} ago`;
}

function amountOf(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  if (seconds < 2 * 365 * 86_400) return `${Math.round(seconds / 86_400)} days`;
  return `${Math.round(seconds / (365.25 * 86_400))} years`;
}

/** Writing a date costs more than a table that is scrolled has time for; few are looked at so closely. */
function showWhole({ currentTarget }: MouseEvent<HTMLTimeElement>): void {
  currentTarget.title = FULL.format(Date.parse(currentTarget.dateTime));
}

/** How long ago an ISO instant was; it goes on counting. */
export function Ago({ at }: { readonly at: string }) {
  const nowMs = useNow();
  const utcMs = Date.parse(at);
  if (Number.isNaN(utcMs)) return <span>at an unknown time</span>;
  return (
    <time dateTime={at} onMouseEnter={showWhole}>
      {relativeTime(utcMs, nowMs)}
    </time>
  );
}

/** An instant by the viewer's calendar and clock: "21 Nov 2026, 14:02". */
export const Moment = ({ at }: { readonly at: string }) => (
  <time dateTime={at} title={FULL.format(Date.parse(at))}>
    {DAY.format(Date.parse(at))}
  </time>
);

/** Where a device's clock is, as it reported it. */
export interface DeviceZone {
  /** "+02:00". */
  readonly utcOffset: string | null;
  /** "Europe/Oslo". */
  readonly timezone: string | null;
}

/** The time of day at the device: "16:02:07"; undefined when its zone is not known. */
export function deviceTime(utcMs: number, { timezone, utcOffset }: DeviceZone): string | undefined {
  for (const timeZone of [timezone, utcOffset]) {
    if (timeZone === null || timeZone === "") continue;
    try {
      return new Intl.DateTimeFormat(undefined, {
        timeZone,
        weekday: "short",
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
      }).format(utcMs);
    } catch {
      // A device may call its zone what it likes.
    }
  }
  return undefined;
}

/** When something happened to a device: here, and by its own clock. */
export function DeviceMoment({ at, zone }: { readonly at: string; readonly zone: DeviceZone }) {
  const there = deviceTime(Date.parse(at), zone);
  return (
    <>
      <Ago at={at} /> · {clockTime(Date.parse(at))}
      {there !== undefined && ` (there: ${there})`}
    </>
  );
}
