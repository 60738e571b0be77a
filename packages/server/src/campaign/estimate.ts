/** When a campaign's waves may end, if every device is there and succeeds: its caps and windows alone. */
import { ratePerMinute } from "./pace.ts";
import type { CampaignPolicy } from "./policy.ts";
import { namedZone, type OffsetAt, UTC } from "./schedule/wall-clock.ts";
import { nextOpening, type Schedule } from "./schedule/windows.ts";

export interface EstimateFacts {
  readonly policy: CampaignPolicy;
  readonly sizes: readonly number[];
  readonly bytesEach: number;
  readonly updateMs: number;
  readonly offsetAt: OffsetAt;
}

/** Openings that an estimate looks through: years of nights. */
const MOST_OPENINGS = 2000;

/** The end of each wave with its soak, wall time, in the campaign's zone; null = never, and so all after it. */
export function estimateEnds(facts: EstimateFacts, utcMs: number): (number | null)[] {
  const { policy, sizes, updateMs, offsetAt } = facts;
  let atMs: number | null = utcMs;
  let startedCount = 0;
  return policy.waves.map((wave, i) => {
    const size = sizes[i] ?? 0;
    if (atMs === null || size === 0) return atMs;
    const workMs = startingMs(facts, { size, startedCount });
    startedCount += size;
    const zone = namedZone(policy.timeZone, offsetAt) ?? UTC;
    const downloadedMs = afterOpenTime(policy.download, { zone, fromMs: atMs, workMs });
    const appliedMs =
      downloadedMs === null ? null : afterOpenTime(policy.apply, { zone, fromMs: downloadedMs + updateMs, workMs: 0 });
    atMs = appliedMs === null ? null : appliedMs + wave.soakMs;
    return atMs;
  });
}

/** How long it takes until the last of so many devices is begun: the tightest of the caps. */
function startingMs(
  { policy, bytesEach, updateMs }: EstimateFacts,
  { size, startedCount }: { size: number; startedCount: number },
): number {
  const { inFlight, startRate, bytesPerSecond } = policy.caps;
  const rounds = Math.max(0, Math.ceil(size / inFlight) - 1);
  const byBytes = bytesPerSecond === null ? 0 : ((size * bytesEach) / bytesPerSecond) * 1000;
  let byRate = 0;
  if (startRate) {
    // A rate that grows is followed step by step; successes are taken to keep up with starts.
    for (let begun = 0; begun < size; ) {
      const count = startedCount + begun;
      const perMinute = ratePerMinute(startRate, { activeCount: 0, startedCount: count, succeededCount: count });
      const isSteady = startRate.factor === 1 || perMinute >= startRate.max;
      const step = isSteady ? size - begun : Math.min(size - begun, startRate.per - (count % startRate.per));
      byRate += (step / perMinute) * 60_000;
      begun += step;
    }
  }
  return Math.max(rounds * updateMs, byBytes, byRate);
}

/** The instant at which so much open time has passed; null when it never does. */
function afterOpenTime(
  schedule: Schedule,
  { zone, fromMs, workMs }: { zone: ReturnType<typeof namedZone>; fromMs: number; workMs: number },
): number | null {
  let left = workMs;
  let atMs = fromMs;
  for (let i = 0; i < MOST_OPENINGS; i += 1) {
    const opening = nextOpening(schedule, zone ?? UTC, atMs);
    if (!opening) return null;
    const open = opening.toMs - opening.fromMs;
    if (left <= open) return opening.fromMs + left;
    left -= open;
    atMs = opening.toMs;
  }
  return null;
}
