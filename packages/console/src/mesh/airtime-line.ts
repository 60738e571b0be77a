/** Airtime used as a line over the whole of its sliding window, however little of it was counted. */
import type { AirtimeSeries } from "@airlift/protocol/api/mesh";

export type AirtimePoints = AirtimeSeries["items"][number]["points"];

/** Seconds since 1970. */
export interface TimeWindow {
  readonly fromS: number;
  readonly toS: number;
}

/** The window that ends with the newest point. @param points At least one, the oldest first. */
export function windowOf(points: AirtimePoints, windowMs: number): TimeWindow {
  const toS = Date.parse(points.at(-1)?.at ?? "") / 1000;
  return { fromS: toS - windowMs / 1000, toS };
}

/** The points as a line from one end of the window to the other: before the first that was counted nothing was used. */
export function lineOf(points: AirtimePoints, windowMs: number) {
  const { fromS } = windowOf(points, windowMs);
  const timesS = points.map(({ at }) => Date.parse(at) / 1000);
  const usedS = points.map(({ usedMs }) => usedMs / 1000);
  const [firstS = fromS] = timesS;
  if (firstS <= fromS) return { timesS, usedS };
  // It rises where it was counted, not over the hour before.
  return { timesS: [fromS, firstS - 0.001, ...timesS], usedS: [0, 0, ...usedS] };
}
