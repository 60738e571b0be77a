/** How patient one device's update is. Every limit follows progress: an acknowledged block moves it. */

export interface UpdatePolicy {
  /** No acknowledged byte for so long, though the device answers, ends a transfer. A device that reads 1 KiB blocks over 60 s round trips stays within it. */
  readonly stallTimeoutMs: number;
  /** From the accepted Execute to the report of the outcome; covers a flash of minutes and a boot. */
  readonly applyTimeoutMs: number;
  /** A device that has not been heard for so long, though its update is due, is called silent. */
  readonly silentAfterMs: number;
  /** How often State and Update Result are read while a notification may have been lost. */
  readonly pollIntervalMs: number;
  /** Transfers in all, the first included, before a lost connection is final. */
  readonly transferAttemptCount: number;
  /** Wait before the second transfer; doubles with each further one. */
  readonly retryDelayMs: number;
  /** How often a push of one attempt goes on where it broke off; then it restarts. */
  readonly pushResumeCount: number;
  /** How long an installation may be deferred when the device names no Maximum Defer Period. */
  readonly deferTimeoutMs: number;
}

export const DEFAULT_UPDATE_POLICY: UpdatePolicy = {
  stallTimeoutMs: 10 * 60_000,
  applyTimeoutMs: 30 * 60_000,
  silentAfterMs: 24 * 3_600_000,
  pollIntervalMs: 15_000,
  transferAttemptCount: 3,
  retryDelayMs: 5_000,
  pushResumeCount: 3,
  deferTimeoutMs: 7 * 24 * 3_600_000,
};
