/** What secures a pull over a stream, and how patient it is: asked of the integrator's handlers (rows 12 and 19). */
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import type { FailureResult } from "@airlift/protocol/update/firmware-update";
import { type ServerCredentials, tlsSecurityOf } from "./credentials.ts";
import { HandlerError, type PullHandlers } from "./ports.ts";
import { inTime } from "./time-limit.ts";
import { type PackageUri, parsePackageUri } from "./transfer/package-uri.ts";

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

interface ServerWithCredentials {
  readonly address: PackageUri;
  readonly credentials?: ServerCredentials | undefined;
}

export interface PullSecurityOptions {
  /** Of whoever pulls. */
  handlers(): PullHandlers;
  readonly handlerTimeoutMs: number;
  onFailure(what: string, error: unknown): void;
  /** Secures what the server itself holds, where the handlers do not say otherwise. */
  server(): ServerWithCredentials | undefined;
}

/** Asks the handlers of whoever pulls; what they fail with is told as well. */
export function streamPullOptions({
  handlers: handlersOfPull,
  handlerTimeoutMs,
  onFailure,
  server,
}: PullSecurityOptions): StreamPullOptions {
  return {
    securityFor: async (uri) => {
      const handlers = handlersOfPull();
      if (!handlers.securityFor) return ofServer(server(), uri) ?? { kind: "certificate" };
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

/** The server's credentials are for the server, by the very address that it is reached by. */
function ofServer(server: ServerWithCredentials | undefined, uri: string): TransportSecurity | undefined {
  if (server === undefined) return undefined;
  const { address, credentials } = server;
  const parts = parsePackageUri(uri);
  const isSame = parts?.scheme === address.scheme && parts.host === address.host && parts.port === address.port;
  return isSame && credentials && !credentials.rpk ? tlsSecurityOf(credentials) : undefined;
}

function resultOf(error: unknown): FailureResult {
  if (!(error instanceof HandlerError)) return "unsupportedProtocol";
  const { result } = error;
  const isOfPull = result !== "deferred" && result !== "conflictingState" && result !== "dependencyError";
  return isOfPull ? result : "unsupportedProtocol";
}
