/** What an outcome that comes from outside the machine does to it. */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FirmwareEvent, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { HandlerFailure } from "../ports.ts";
import type { Persisted } from "./persisted.ts";

/**
 * The event of a result that the integrator sets (rows 33 … 35, 40).
 *
 * @param mayDefer Whether the server allows a deferral at this time.
 * @throws {UsageError} RESULT_NOT_SETTABLE
 */
export function eventOfSetResult({ state }: Persisted, result: UpdateResult, mayDefer: boolean): FirmwareEvent {
  if (result === "success" && state === "updating") return "installed";
  if (result === "deferred" && mayDefer && (state === "updating" || state === "downloaded")) return "deferred";
  const isFailure = result !== "success" && result !== "deferred" && result !== "initial" && result !== "cancelled";
  if (isFailure && state !== "idle") return result;
  throw new UsageError("RESULT_NOT_SETTABLE", `result ${result} cannot be set in ${state}`, { result, state });
}

/** @throws {UsageError} RESULT_NOT_SETTABLE when no update is deferred. */
export function eventOfAccept({ state, result }: Persisted): FirmwareEvent {
  if (state === "downloaded" && result === "deferred") return "accepted";
  throw new UsageError("RESULT_NOT_SETTABLE", "no update is deferred", { state, result });
}

/** The event of an installation that its handler refused (row 32); one that puts off what may not wait has failed. */
export function refusedBy(reason: HandlerFailure | undefined, mayDefer: boolean): FirmwareEvent {
  if (reason === "conflictingState") return "refused.dependencyError";
  if (reason !== "deferred") return `refused.${reason ?? "failed"}`;
  return mayDefer ? "deferred" : "refused.failed";
}
