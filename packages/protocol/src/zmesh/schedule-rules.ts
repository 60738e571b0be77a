/** Whether a device may take up a schedule: its time, its encryption, its freshness. Source: profile 3, 4. */
import { toHex } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { ENC_TYPE } from "./chunking.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import { isInstant } from "./instant.ts";
import type { Schedule } from "./schedule.ts";

/** How far ahead an update may be scheduled: 90 days. */
export const LARGEST_LEAD_MS = 90 * 24 * 3_600_000;
/** A clock that was not set for this long is not trusted: 24 hours. */
export const LARGEST_SYNC_AGE_MS = 24 * 3_600_000;
/** What a crystal without temperature compensation keeps. */
export const DEFAULT_DRIFT_PPM = 20;
/** Attempts that a device remembers. The oldest is forgotten first; FSEQ still keeps its schedule from coming again. */
export const DEFAULT_MAX_ATTEMPTS = 32;

/** A device's wall clock, as itself or its network knows it. */
export interface DeviceClock {
  /** Unix milliseconds. */
  readonly utcMs: number;
  /** When it was set last; `undefined` = never. */
  readonly syncedAtMs: number | undefined;
  /** Parts per million by which it may run wrong, either way. */
  readonly driftPpm: number;
}

/** How wrong the clock may be by now, twice: 2 × ppm × time since it was set. @returns Milliseconds, not rounded. */
export function clockGuardMs({ utcMs, syncedAtMs, driftPpm }: DeviceClock): number {
  return syncedAtMs === undefined ? Number.POSITIVE_INFINITY : (2 * driftPpm * Math.abs(utcMs - syncedAtMs)) / 1e6;
}

/** Whether an update may be scheduled by this clock: set within 24 hours, and not in its own future. */
export function isClockTrusted({ utcMs, syncedAtMs }: DeviceClock): boolean {
  return syncedAtMs !== undefined && utcMs >= syncedAtMs && utcMs - syncedAtMs <= LARGEST_SYNC_AGE_MS;
}

/** What a device holds against a schedule. */
export interface ScheduleRules {
  readonly clock: DeviceClock;
  readonly attempts: Attempts;
  /** Whether the operator allows Enc. Type 0. */
  readonly isPlainAllowed: boolean;
}

/**
 * Throws unless the device may take the schedule up. The caller then stores FSEQ and calls `attempts.begin`.
 *
 * @throws {PeerError} `ENC_TYPE_REFUSED` for Enc. Type 0 · `CLOCK_NOT_SYNCED` · `SCHEDULE_PAST` before now − guard ·
 *   `SCHEDULE_FAR` after now + 90 days · `SCHEDULE_REPEATED` when this content with these keys was tried and did not fail.
 */
export function assertSchedule(schedule: Schedule, { clock, attempts, isPlainAllowed }: ScheduleRules): void {
  if (schedule.encType === ENC_TYPE.none && !isPlainAllowed)
    throw new PeerError("ENC_TYPE_REFUSED", "updates that are not encrypted are not allowed here");
  if (isInstant(schedule.updateAtMs)) assertTime(schedule.updateAtMs, clock);
  if (attempts.has(schedule))
    throw new PeerError("SCHEDULE_REPEATED", "this content was scheduled with these keys before");
}

function assertTime(updateAtMs: number, clock: DeviceClock): void {
  const { utcMs, syncedAtMs } = clock;
  if (!isClockTrusted(clock))
    throw new PeerError("CLOCK_NOT_SYNCED", "the clock was not set for 24 hours", { utcMs, syncedAtMs });
  if (updateAtMs < utcMs - clockGuardMs(clock))
    throw new PeerError("SCHEDULE_PAST", "the time is over", { updateAtMs, utcMs });
  if (updateAtMs > utcMs + LARGEST_LEAD_MS)
    throw new PeerError("SCHEDULE_FAR", "more than 90 days ahead", { updateAtMs, utcMs });
}

/** What a schedule must not share with an earlier one. */
export type AttemptKey = Pick<Schedule, "name" | "key" | "iv">;

/** The contents a device has begun, each with its keys. Only a digest of them is kept. */
export class Attempts {
  readonly #digests: Set<string>;
  readonly #crypto: ZmeshCrypto;
  readonly #maxAttempts: number;

  /** @param stored An earlier `entries`, to go on from after a restart. */
  constructor(crypto: ZmeshCrypto, stored: readonly string[] = [], maxAttempts: number = DEFAULT_MAX_ATTEMPTS) {
    this.#crypto = crypto;
    this.#digests = new Set(stored);
    this.#maxAttempts = maxAttempts;
  }

  /** What to store, the oldest first. */
  get entries(): readonly string[] {
    return [...this.#digests];
  }

  /** Whether this was begun and has not failed. */
  has(schedule: AttemptKey): boolean {
    return this.#digests.has(this.#digestOf(schedule));
  }

  begin(schedule: AttemptKey): void {
    this.#digests.add(this.#digestOf(schedule));
    for (const oldest of this.#digests) {
      if (this.#digests.size <= this.#maxAttempts) break;
      this.#digests.delete(oldest);
    }
  }

  /** The attempt failed or was cancelled: it may be scheduled again. */
  fail(schedule: AttemptKey): void {
    this.#digests.delete(this.#digestOf(schedule));
  }

  #digestOf({ name, key, iv }: AttemptKey): string {
    return toHex(this.#crypto.sha256(name, key, iv).subarray(0, 16));
  }
}
