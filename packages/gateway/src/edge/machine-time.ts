/** What of this machine's time can be vouched for: the clock that counts since its start, and which start that was. */
import { readFileSync } from "node:fs";
import { uptime } from "node:os";

/** A moment that a later run of this program can measure from. */
export interface MachineMoment {
  /** Names the start of the machine; empty when the system does not tell. */
  readonly bootId: string;
  /** Milliseconds of the monotonic clock, which no operator and no time server can set. */
  readonly monotonicMs: number;
}

/** Now, for a record. */
export const machineMoment = (): MachineMoment => ({
  bootId: readBootId(),
  monotonicMs: Number(process.hrtime.bigint() / 1000n) / 1000,
});

/**
 * How much time has gone by since a recorded moment at the least. The time of day has no part in it: a clock that was set
 * wrong would let the air be used twice. Across a restart of the machine only the time since that restart counts.
 */
export function provenDowntimeMs(
  then: MachineMoment,
  now: MachineMoment = machineMoment(),
  upMs = uptime() * 1000,
): number {
  if (then.bootId !== "" && then.bootId === now.bootId) return Math.max(0, now.monotonicMs - then.monotonicMs);
  // Where a start has no name, nothing tells that there was one.
  return then.bootId === "" || now.bootId === "" ? 0 : Math.max(0, upMs);
}

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
