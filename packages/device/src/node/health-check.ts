/** Whether a new image does its work: asked while it runs on trial, before it is confirmed. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Command, commandFailed, runCommand } from "./command.ts";

/**
 * Settles when the device is healthy, rejects when it is not. Called once in a trial, when its server has been reached;
 * `signal` aborts at the end of the time. May block as long as that.
 */
export type HealthCheck = (signal: AbortSignal) => Promise<void> | void;

/** Long enough for a modem or a sensor to come up. */
export const DEFAULT_HEALTH_TIMEOUT_MS = 60_000;

/** @throws {EnvironmentError} UNHEALTHY, its cause what the check rejected with; also when the time is over. */
export async function checkHealth(check: HealthCheck, timeoutMs: number = DEFAULT_HEALTH_TIMEOUT_MS): Promise<void> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new Error(`not healthy within ${timeoutMs} ms`)), timeoutMs);
  const late = new Promise<never>((_resolve, reject) => {
    ending.signal.addEventListener("abort", () => reject(ending.signal.reason), { once: true });
  });
  try {
    await Promise.race([check(ending.signal), late]);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new EnvironmentError("UNHEALTHY", `the new image is not healthy: ${message}`, {}, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Healthy is when a command exits with 0. */
export function commandHealthCheck(command: Command): HealthCheck {
  return async (signal) => {
    const outcome = await runCommand(command, { signal });
    if (outcome.exitCode !== 0) throw commandFailed(command, outcome);
  };
}
