/** Wall time in a time zone, there and back. The zone tables are the host's and are handed in. */

/** Minutes east of UTC in `zone` at an instant; undefined for a zone that is not known. */
export type OffsetAt = (zone: string, utcMs: number) => number | undefined;

/** A zone with its name: "Europe/Oslo", "+02:00". */
export interface Zone {
  readonly name: string;
  /** Minutes east of UTC at an instant. */
  offsetMinutes(utcMs: number): number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export const UTC: Zone = { name: "UTC", offsetMinutes: () => 0 };

/** What tells a device's zone. */
export interface ZoneReport {
  /** /3/0/15, an IANA name. */
  readonly timeZone: string | null;
  /** /3/0/14, "+02:00" (ISO 8601). */
  readonly utcOffset: string | null;
}

/**
 * The zone that a device lives in: its time zone, which knows of daylight saving, before its offset, which does not; else
 * the campaign's. A name or an offset that cannot be read counts as not told.
 */
export function zoneOf({ timeZone, utcOffset }: ZoneReport, fallback: string, offsetAt: OffsetAt): Zone {
  const own = timeZone === null ? undefined : namedZone(timeZone, offsetAt);
  return own ?? fixedZone(utcOffset) ?? namedZone(fallback, offsetAt) ?? UTC;
}

/** Undefined when the name is not known. */
export function namedZone(name: string, offsetAt: OffsetAt): Zone | undefined {
  if (name === "UTC") return UTC;
  if (name === "" || offsetAt(name, 0) === undefined) return undefined;
  return { name, offsetMinutes: (utcMs) => offsetAt(name, utcMs) ?? 0 };
}

/** "+02:00", "+0200", "-5", "UTC+2", "Z"; undefined for anything else. */
function fixedZone(text: string | null): Zone | undefined {
  if (text === null) return undefined;
  const parts = /^(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?$/i.exec(text.trim());
  if (!parts) return /^(z|utc|gmt)$/i.test(text.trim()) ? UTC : undefined;
  const minutes = Number(parts[2]) * 60 + Number(parts[3] ?? 0);
  if (minutes > 14 * 60) return undefined;
  const offset = parts[1] === "-" ? -minutes : minutes;
  return { name: text.trim(), offsetMinutes: () => offset };
}

/** Wall time as if it were UTC: its year, day and hour are those that a clock on the wall shows. */
export function wallOf(utcMs: number, zone: Zone): number {
  return utcMs + zone.offsetMinutes(utcMs) * MINUTE_MS;
}

/**
 * The instant of a wall time. One that daylight saving shows twice is the first of the two; one that it leaves out is as far
 * behind the change as it would have been without it.
 */
export function instantOf(wallMs: number, zone: Zone): number {
  const before = wallMs - zone.offsetMinutes(wallMs - DAY_MS) * MINUTE_MS;
  const after = wallMs - zone.offsetMinutes(wallMs + DAY_MS) * MINUTE_MS;
  if (wallOf(before, zone) === wallMs && wallOf(after, zone) === wallMs) return Math.min(before, after);
  return wallOf(after, zone) === wallMs ? after : before;
}

/** The start of the day that a wall time lies in, as wall time. */
export function dayOf(wallMs: number): number {
  return Math.floor(wallMs / DAY_MS) * DAY_MS;
}

/** "2026-03-01" of a wall time. */
export function dateText(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 10);
}

/** "02:00 Europe/Oslo", with the date when it is another day than `nowMs` shows. */
export function clockText(utcMs: number, zone: Zone, nowMs: number): string {
  const wall = wallOf(utcMs, zone);
  const time = new Date(wall).toISOString().slice(11, 16);
  const isSoon = utcMs - nowMs < DAY_MS;
  return isSoon ? `${time} ${zone.name}` : `${dateText(wall)} ${time} ${zone.name}`;
}
