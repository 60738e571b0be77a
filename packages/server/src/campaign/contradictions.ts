/** What in a written campaign contradicts itself, whatever images, devices and zones there are. */
import { type CampaignSpec, durationMs } from "@airlift/protocol/api/campaign";
import type { Mistake } from "@airlift/protocol/api/mistakes";
import { compareVersions } from "@airlift/protocol/image/version";

/** Each with the place of the smallest part that the contradiction is in. */
export const contradictionsOf = (spec: CampaignSpec): Mistake[] => [
  ...waveNames(spec.waves),
  ...blackouts(spec.windows.blackout),
  ...startRate("caps", spec.caps),
  ...retries(spec.retry),
  ...ranges("from", spec.from),
  ...spec.steppingStones.flatMap(({ from }, i) => ranges(`steppingStones.${i}.from`, from)),
  ...(spec.rollback === undefined ? [] : startRate("rollback", spec.rollback)),
];

/** A sentence names its wave. */
function waveNames(waves: CampaignSpec["waves"]): Mistake[] {
  return waves.flatMap(({ name }, i) => {
    const first = waves.findIndex((wave) => wave.name === name);
    if (first === i) return [];
    return [{ path: `waves.${i}.name`, code: "WAVE_NAME", message: `wave ${first + 1} is called "${name}" already` }];
  });
}

function blackouts(days: CampaignSpec["windows"]["blackout"]): Mistake[] {
  const message = "a blackout's days are real ones, the first before the last";
  return days.flatMap(({ from, to }, i) =>
    isDay(from) && isDay(to) && from <= to ? [] : [{ path: `windows.blackout.${i}`, code: "BLACKOUT", message }],
  );
}

/** 2026-02-31 is none: a parser makes it the third of March. */
const isDay = (day: string): boolean => {
  const utcMs = Date.parse(day);
  return !Number.isNaN(utcMs) && new Date(utcMs).toISOString().startsWith(day);
};

function startRate(path: string, { startsPerMinute: rate }: Pick<CampaignSpec["caps"], "startsPerMinute">): Mistake[] {
  if (typeof rate !== "object" || rate.base <= rate.max) return [];
  const message = `it begins with ${rate.base} starts a minute, and has a most of ${rate.max}`;
  return [{ path: `${path}.startsPerMinute`, code: "START_RATE", message }];
}

function retries(retry: CampaignSpec["retry"]): Mistake[] {
  return Object.entries(retry).flatMap(([kind, one]) => {
    if (one === undefined || durationMs(one.backoff) <= durationMs(one.longest)) return [];
    const message = `the first pause, ${one.backoff}, is longer than the longest, ${one.longest}`;
    return [{ path: `retry.${kind}.backoff`, code: "RETRY_PAUSE", message }];
  });
}

function ranges(path: string, list: CampaignSpec["from"]): Mistake[] {
  return list.flatMap(({ atLeast, below }, i) => {
    if (atLeast === undefined || below === undefined || compareVersions(atLeast, below) < 0) return [];
    const message = `no version is at least ${atLeast} and below ${below}`;
    return [{ path: `${path}.${i}`, code: "VERSION_RANGE", message }];
  });
}
