/** Transmitters that some device hears both of take turns: each is silent outside of its own windows. Source: profile 7. */

/** A span of time in which a packet may begin. */
export interface AirTurn {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A span of time that comes again in every period since the beginning of Unix time: for frames that are no broadcast's. */
export interface AirCycle {
  readonly periodMs: number;
  /** When it begins in each period: 0 … below `periodMs`. */
  readonly fromMs: number;
  /** How long it is: a frame that begins in it ends in it, unless it takes more than half of it. */
  readonly lengthMs: number;
}

/** The earliest time from `atMs` on at which a frame may begin; `atMs` itself without a cycle. @param atMs UTC. @param airtimeMs Of the frame. */
export function cycleAtMs(cycle: AirCycle | undefined, atMs: number, airtimeMs: number): number {
  if (cycle === undefined) return atMs;
  const { periodMs, fromMs, lengthMs } = cycle;
  const intoMs = (((atMs - fromMs) % periodMs) + periodMs) % periodMs;
  // However long a frame is, some time is left to begin it in.
  const lastMs = lengthMs - Math.min(airtimeMs, lengthMs / 2);
  return intoMs < lastMs ? atMs : atMs + periodMs - intoMs;
}

/** The earliest time from `atMs` on that lies in a window; infinity when the last one is over. @param windows In order, apart. */
export function turnAtMs(windows: readonly AirTurn[], atMs: number): number {
  const window = windows.find(({ untilMs }) => untilMs > atMs);
  return window === undefined ? Number.POSITIVE_INFINITY : Math.max(atMs, window.fromMs);
}
