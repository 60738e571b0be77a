/** How many devices may be started now: the caps as token buckets, plain values. */
import type { CapsPolicy, StartRatePolicy } from "./policy.ts";

/** Tokens as of an instant. Bytes may go below zero: the last image is paid off before the next is given. */
export interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** What the caps remember. Null = not started yet: full. */
export interface Pace {
  readonly starts: Bucket | null;
  readonly bytes: Bucket | null;
}

export const NEW_PACE: Pace = { starts: null, bytes: null };

/** What the rate and the caps are judged by. */
export interface Progress {
  readonly activeCount: number;
  readonly startedCount: number;
  readonly succeededCount: number;
}

/** `count` devices may be started now; when it is 0 and only time is needed, `atMs` says when. */
export interface Allowance {
  readonly count: number;
  readonly atMs: number | null;
  readonly because: "inFlight" | "startRate" | "bytes" | null;
}

/** Starts per minute as the campaign has earned them by now. */
export function ratePerMinute(rate: StartRatePolicy, { startedCount, succeededCount }: Progress): number {
  if (rate.factor === 1) return Math.min(rate.base, rate.max);
  const steps = Math.floor((rate.by === "started" ? startedCount : succeededCount) / rate.per);
  return Math.max(1, Math.min(rate.max, Math.floor(rate.base * rate.factor ** Math.min(steps, 1000))));
}

/** What may be started under every cap but the cells'. */
export function allowance(caps: CapsPolicy, pace: Pace, now: { progress: Progress; utcMs: number }): Allowance {
  const room = caps.inFlight - now.progress.activeCount;
  if (room <= 0) return { count: 0, atMs: null, because: "inFlight" };
  const bytes = bytesBucket(caps, pace, now.utcMs);
  if (bytes && bytes.bucket.tokens < 0)
    return { count: 0, atMs: now.utcMs + Math.ceil((-bytes.bucket.tokens / bytes.perSecond) * 1000), because: "bytes" };
  // An image of any size may go over the edge once, so that with a byte cap they go one at a time.
  const most = bytes ? 1 : room;
  const starts = startsBucket(caps, pace, now);
  if (!starts) return { count: most, atMs: null, because: null };
  const whole = Math.floor(starts.bucket.tokens + 1e-9);
  if (whole >= 1) return { count: Math.min(most, whole), atMs: null, because: null };
  const atMs = now.utcMs + Math.ceil((1 - starts.bucket.tokens) / starts.perMs);
  return { count: 0, atMs, because: "startRate" };
}

/** The pace after one start of an image of this size. */
export function spend(
  caps: CapsPolicy,
  pace: Pace,
  now: { progress: Progress; utcMs: number; sizeBytes: number },
): Pace {
  const starts = startsBucket(caps, pace, now)?.bucket;
  const bytes = bytesBucket(caps, pace, now.utcMs)?.bucket;
  return {
    starts: starts ? { ...starts, tokens: starts.tokens - 1 } : null,
    bytes: bytes ? { ...bytes, tokens: bytes.tokens - now.sizeBytes } : null,
  };
}

/** A clock that went back does not stop what is counted until it is there again: the buckets go back with it, as full as they were. */
export function rebase(pace: Pace, utcMs: number): Pace {
  const back = (bucket: Bucket | null): Bucket | null => bucket && { ...bucket, atMs: Math.min(bucket.atMs, utcMs) };
  const { starts, bytes } = pace;
  if ((starts?.atMs ?? 0) <= utcMs && (bytes?.atMs ?? 0) <= utcMs) return pace;
  return { starts: back(starts), bytes: back(bytes) };
}

/**
 * A second's worth at once, the rest of the minute's in steady drops: at most the rate in any 60 s. A rate that grew gives
 * the growth from now on.
 */
function startsBucket(
  caps: CapsPolicy,
  pace: Pace,
  { progress, utcMs }: { progress: Progress; utcMs: number },
): { bucket: Bucket; perMs: number } | undefined {
  if (!caps.startRate) return undefined;
  const perMinute = ratePerMinute(caps.startRate, progress);
  const burst = Math.max(1, Math.floor(perMinute / 60));
  const perMs = (burst === 1 ? perMinute : perMinute - burst) / 60_000;
  return { bucket: refill(pace.starts ?? { tokens: burst, atMs: utcMs }, { perMs, most: burst }, utcMs), perMs };
}

function bytesBucket(caps: CapsPolicy, pace: Pace, utcMs: number): { bucket: Bucket; perSecond: number } | undefined {
  const perSecond = caps.bytesPerSecond;
  if (perSecond === null) return undefined;
  return {
    bucket: refill(pace.bytes ?? { tokens: 0, atMs: utcMs }, { perMs: perSecond / 1000, most: 0 }, utcMs),
    perSecond,
  };
}

/** Time that went backwards gives nothing. */
function refill({ tokens, atMs }: Bucket, { perMs, most }: { perMs: number; most: number }, utcMs: number): Bucket {
  return { tokens: Math.min(most, tokens + Math.max(0, utcMs - atMs) * perMs), atMs: utcMs };
}
