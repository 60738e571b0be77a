/** Sizes, spans of time and sub-bands in words. */

const UNITS = ["KiB", "MiB", "GiB", "TiB"] as const;

/** "512 B", "3.2 MiB". */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  // What would be written as 1024.0 of a unit is 1.0 of the next.
  const power = Math.min(UNITS.length, Math.floor(Math.log2(bytes * 1.0001) / 10));
  return `${(bytes / 2 ** (10 * power)).toFixed(1)} ${UNITS[power - 1]}`;
}

/** "45 s", "12 min", "5 h", "3 days". */
export function spanText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** "868.0-868.6 MHz"; of a link that is no radio its name, "wired". */
export const bandText = (band: string): string => (/^\d/.test(band) ? `${band} MHz` : band);
