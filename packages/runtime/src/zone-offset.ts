/** Offsets of time zones from the tables that Node brings (ICU). */

/** What `offsetAt` asks for one zone. */
type Offsets = (utcMs: number) => number;

/** Zones that are remembered; a formatter costs some kilobytes. */
const MOST_ZONES = 600;
const zones = new Map<string, Offsets | undefined>();

/**
 * Minutes east of UTC in a zone at an instant; undefined for a zone that is not known.
 *
 * @param zone IANA name, "Europe/Oslo".
 */
export function offsetAt(zone: string, utcMs: number): number | undefined {
  if (!zones.has(zone) && zones.size < MOST_ZONES) zones.set(zone, offsetsOf(zone));
  const offsets = zones.has(zone) ? zones.get(zone) : offsetsOf(zone);
  return offsets?.(utcMs);
}

function offsetsOf(zone: string): Offsets | undefined {
  try {
    const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    return (utcMs) =>
      minutesOf(format.formatToParts(utcMs).find(({ type }) => type === "timeZoneName")?.value ?? "GMT");
  } catch {
    return undefined;
  }
}

/** "GMT", "GMT+02:00", "GMT-03:30"; old local times have seconds, which no window needs. */
function minutesOf(text: string): number {
  const [, sign, hours, minutes] = /^GMT([+-])(\d{2}):(\d{2})/.exec(text) ?? [];
  if (sign === undefined) return 0;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}
