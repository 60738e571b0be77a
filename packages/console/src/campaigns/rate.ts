/** How fast devices end, from what was seen of it while the page was open, and before that from since when they are at it. */

export interface Sample {
  readonly atMs: number;
  readonly endedCount: number;
}

/** Over so long the rate is taken … */
export const WINDOW_MS = 5 * 60_000;
/** … from samples that lie so far apart. */
export const SAMPLE_EVERY_MS = 5_000;
/** Over less than this nothing can be said. */
const LEAST_MS = 10_000;

/** The samples of the window with a newer one, when it is time for one: the same array otherwise. */
export function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = samples.at(-1);
  if (last !== undefined && sample.atMs - last.atMs < SAMPLE_EVERY_MS) return samples;
  return [...samples.filter(({ atMs }) => sample.atMs - atMs <= WINDOW_MS), sample];
}

/**
 * Devices a minute; undefined when nothing can be said. What was seen counts for as long as it was seen; the time before
 * that, back to the beginning but no further than the window, counts with its average.
 *
 * @param startedAtMs When the first of them was begun; null = not yet.
 */
export function ratePerMinute(samples: readonly Sample[], now: Sample, startedAtMs: number | null): number | undefined {
  const [first] = samples;
  if (startedAtMs === null || first === undefined) return undefined;
  const seen = { ms: now.atMs - first.atMs, count: now.endedCount - first.endedCount };
  if (seen.ms >= WINDOW_MS / 2) return perMinute(seen.count, seen.ms);
  // A page that was opened just now has seen nothing: the average since the beginning stands in.
  const wholeMs = now.atMs - startedAtMs;
  return wholeMs < LEAST_MS ? undefined : perMinute(now.endedCount, wholeMs);
}

const perMinute = (count: number, ms: number): number => Math.max(0, (count * 60_000) / ms);

/** When the rest has ended at that rate, wall time; undefined when it never would. */
export const endAtMs = (openCount: number, rate: number | undefined, nowMs: number): number | undefined =>
  rate === undefined || rate === 0 ? undefined : nowMs + (openCount / rate) * 60_000;
