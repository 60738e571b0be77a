/** Runs any core in virtual time: a week of radio silence takes microseconds, and a seed repeats a failure. */
import type { Core, Random } from "@airlift/protocol/lib/core";

/** Uniform numbers from a 32-bit seed (mulberry32). For tests and simulation only, never for keys or tokens. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Steps `core` from one wake-up to the next until it is idle; returns each output with its time. */
export function drain<I, O>(core: Core<I, O>, wake: I, limit = 10_000): { atMs: number; output: O }[] {
  const log: { atMs: number; output: O }[] = [];
  for (let steps = 0; core.wakeAtMs !== undefined; steps += 1) {
    if (steps === limit) throw new Error(`core still busy after ${limit} wake-ups`);
    const atMs = core.wakeAtMs;
    for (const output of core.step(wake, atMs)) log.push({ atMs, output });
  }
  return log;
}
