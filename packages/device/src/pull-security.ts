/** What secures a pull over a stream, and how patient it is: asked of the integrator's handlers (rows 12 and 19). */
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import type { FailureResult } from "@airlift/protocol/update/firmware-update";
import { HandlerError, type PullHandlers } from "./ports.ts";
import { inTime } from "./time-limit.ts";

/** A server that says nothing for this long is given up, unless the handlers know better. */
export const DEFAULT_TCP_TIMEOUT_MS = 30_000;

/** There is nothing to secure a pull with; no further try would change that. */
export class NoPullSecurity extends Error {
  readonly result: FailureResult;

  constructor(result: FailureResult, options?: { cause?: unknown }) {
    super("nothing secures this pull", options);
    this.name = "NoPullSecurity";
    this.result = result;
  }
}

export interface StreamPullOptions {
  /** @throws {NoPullSecurity} */
  securityFor(uri: string): Promise<TransportSecurity>;
  timeoutFor(uri: string): number;
}

/** Asks the handlers of whoever pulls; what they fail with is told as well. */
export function streamPullOptions(
  handlersOfPull: () => PullHandlers,
  handlerTimeoutMs: number,
  onFailure: (what: string, error: unknown) => void,
): StreamPullOptions {
  return {
    securityFor: async (uri) => {
      const handlers = handlersOfPull();
      if (!handlers.securityFor) return { kind: "certificate" };
      let security: TransportSecurity | undefined;
      try {
        security = await inTime(handlers.securityFor(uri), handlerTimeoutMs, "securityFor");
      } catch (cause) {
        onFailure("securityFor", cause);
        throw new NoPullSecurity(resultOf(cause), { cause });
      }
      if (security === undefined) throw new NoPullSecurity("unsupportedProtocol");
      return security;
    },
    timeoutFor: (uri) => {
      try {
        const timeoutMs = handlersOfPull().tcpTimeoutFor?.(uri) ?? DEFAULT_TCP_TIMEOUT_MS;
        return timeoutMs > 0 ? timeoutMs : DEFAULT_TCP_TIMEOUT_MS;
      } catch (error) {
        onFailure("tcpTimeoutFor", error);
        return DEFAULT_TCP_TIMEOUT_MS;
      }
    },
  };
}

function resultOf(error: unknown): FailureResult {
  if (!(error instanceof HandlerError)) return "unsupportedProtocol";
  const { result } = error;
  const isOfPull = result !== "deferred" && result !== "conflictingState" && result !== "dependencyError";
  return isOfPull ? result : "unsupportedProtocol";
}
