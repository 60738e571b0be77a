/** Text for people at a terminal: tables, sizes, times. */
import { largestOf } from "@airlift/protocol/lib/extremes";

/** `text` without control characters: what a device calls itself must not steer the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\u{fffd}");
}

/** Columns as wide as their widest cell, two spaces apart, no space at the ends of lines. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => largestOf(cells.map((row) => widthOf(row[column] ?? ""))));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell))).join("  ");
  return cells.map((row) => `${line(row).trimEnd()}\n`).join("");
}

/** Name and value, one pair a line. */
export function pairs(values: readonly (readonly [string, string])[]): string {
  const width = largestOf(values.map(([name]) => name.length));
  return values.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}\n`).join("");
}

/** "512 B", "97.7 KiB", "1.0 GiB". */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** "4.2 %", "under 0.1 %". @param share Of a whole, 0 … 1. */
export function shareText(share: number): string {
  return share < 0.001 ? "under 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

/** "4 s ago", "12 min ago", "3 h ago", then the day: "2026-03-01". @param instant ISO 8601. */
export function agoText(instant: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(instant)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h ago` : instant.slice(0, 10);
}

/** Local time of the day of an ISO 8601 instant, "14:03:27"; with the day when it is not today's. */
export function clockText(instant: string, nowMs: number): string {
  const pad = (value: number) => `${value}`.padStart(2, "0");
  const at = new Date(instant);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const isToday = at.toDateString() === new Date(nowMs).toDateString();
  return isToday ? time : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${time}`;
}

/** `text` in `width` columns at most; what is cut off ends in "…". */
export function fitted(text: string, width: number): string {
  const letters = [...printable(text)];
  return letters.length <= width ? letters.join("") : `${letters.slice(0, Math.max(0, width - 1)).join("")}…`;
}

/** Code points, which is what most terminals give one column each. */
const widthOf = (text: string): number => [...text].length;
