/** Connections over TCP and TLS: making them within a time, and their errors in our words. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { AirliftError, EnvironmentError } from "@airlift/protocol/lib/errors";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import { clientTls, isPinned } from "./tls.ts";

/** From the first packet to the end of the handshake. */
export const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

export interface StreamTarget {
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Absent: the connection is not secured. */
  readonly security?: TransportSecurity | undefined;
  /** Application protocol offered in the handshake. @see RFC 7301 */
  readonly protocol?: string | undefined;
  /** Default `DEFAULT_CONNECT_TIMEOUT_MS`. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A connection, with the server's identity checked if it is a secured one. It is paused: nothing has been read.
 *
 * @throws {EnvironmentError} `HOST_UNKNOWN` · `CONNECTION_LOST` · `CONNECTION_TIMEOUT` · `TLS_FAILED`; or the signal's reason.
 */
export function connectStream(target: StreamTarget): Promise<Socket> {
  const { host, port, security, timeoutMs = DEFAULT_CONNECT_TIMEOUT_MS, signal } = target;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = security ? openTls(target, security) : connectTcp({ host, port });
    const fail = (error: unknown): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const facts = { host, port };
    const timer = setTimeout(
      () =>
        fail(new EnvironmentError("CONNECTION_TIMEOUT", "no connection came about in time", { ...facts, timeoutMs })),
      timeoutMs,
    );
    const onError = (cause: unknown): void => fail(streamError(cause, facts));
    const onClose = (): void => onError(undefined);
    const onAbort = (): void => fail(signal?.reason);
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.off("close", onClose).off("error", onError);
      // Whatever breaks later is followed by "close"; it must only not be unheard.
      socket.on("error", () => undefined);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError).on("close", onClose);
    socket.once(security ? "secureConnect" : "connect", () => {
      if (security && !isPinned(security, socket as TLSSocket)) {
        fail(new EnvironmentError("TLS_FAILED", "the server showed another certificate than the pinned one", facts));
        return;
      }
      settle();
      socket.pause();
      resolve(socket);
    });
  });
}

function openTls({ host, port, protocol }: StreamTarget, security: TransportSecurity): TLSSocket {
  const protocols = protocol === undefined ? {} : { ALPNProtocols: [protocol] };
  const { host: servername, ...options } = clientTls(security, host);
  const socket = connectTcp({ host, port });
  const secured = connectTls({
    ...options,
    ...protocols,
    socket,
    ...(servername === undefined ? {} : { host: servername }),
  });
  // The connection below reports what goes wrong before there is a handshake.
  socket.on("error", (error) => secured.destroy(error));
  return secured;
}

/** The network's errors in our words. */
export function streamError(cause: unknown, facts: Readonly<Record<string, unknown>>): AirliftError {
  if (cause instanceof AirliftError) return cause;
  const { code, library } = (cause ?? {}) as { readonly code?: unknown; readonly library?: unknown };
  const all = { ...facts, code };
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return new EnvironmentError("HOST_UNKNOWN", "the server's name is not known", all, { cause });
  if (library === "SSL routines" || TLS_CODES.test(String(code)))
    return new EnvironmentError("TLS_FAILED", "no secure connection came about", all, { cause });
  return new EnvironmentError("CONNECTION_LOST", "the connection broke", all, { cause });
}

const TLS_CODES =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|DEPTH_ZERO|UNABLE_TO|SELF_SIGNED|INVALID_CA|HOSTNAME_MISMATCH|EPROTO)/;
