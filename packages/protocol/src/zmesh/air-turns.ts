/** Transmitters that some device hears both of take turns: each is silent outside of its own windows. Source: profile 7. */

/** A span of time in which a packet may begin. */
export interface AirTurn {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The earliest time from `atMs` on that lies in a window; infinity when the last one is over. @param windows In order, apart. */
export function turnAtMs(windows: readonly AirTurn[], atMs: number): number {
  const window = windows.find(({ untilMs }) => untilMs > atMs);
  return window === undefined ? Number.POSITIVE_INFINITY : Math.max(atMs, window.fromMs);
}
