/** The way from a device to its server, whatever carries it: a socket, a DTLS session or a connection. */
import type { Peer } from "@airlift/protocol/coap/exchange";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import type { CoapClient, CoapServer } from "@airlift/runtime/coap";
import type { ServerCredentials } from "./credentials.ts";
import type { PackageUri } from "./transfer/package-uri.ts";

/** Requests in both directions; the peer may be of any transport. */
export type AnyCoap = CoapClient<Peer> & CoapServer<Peer>;

/** Why the server could not be reached: a stable code, and a sentence for the integrator. */
export interface ContactFailure {
  readonly code: string;
  readonly sentence: string;
}

export interface ServerChannel {
  readonly coap: AnyCoap;
  /**
   * The server, looked up or connected to if need be; its present self when there is one.
   *
   * @throws {EnvironmentError} HOST_UNKNOWN, SOCKET_BIND, CONNECTION_LOST, CONNECTION_TIMEOUT, TLS_FAILED
   */
  reach(signal?: AbortSignal): Promise<Peer>;
  /** Whether a request from `peer` is one of our server. */
  isServer(peer: Peer): boolean;
  /** The server as it holds what `parts` names, or `undefined` when that is elsewhere or comes another way. */
  holderOf(parts: PackageUri): Promise<Peer | undefined>;
  /** The server did not answer: whatever both had agreed on is agreed on anew. */
  renew(): void;
  /** What `error`, of `reach` or of a request, means here. */
  explain(error: unknown): ContactFailure;
  /** Ends whatever would send by itself; `reach` brings it back. */
  rest(): void;
  close(): Promise<void>;
}

export interface ServerChannelOptions {
  readonly address: PackageUri;
  readonly credentials?: ServerCredentials | undefined;
  readonly transmission?: TransmissionParameters | undefined;
  readonly bind?: { readonly host?: string; readonly port?: number } | undefined;
  /** Whether to lose a message's datagram. Means nothing over TCP. */
  readonly loss?: ((direction: "in" | "out", datagram: Uint8Array) => boolean) | undefined;
  /** The session or connection with the server has ended, and not by us. */
  onLost(failure: ContactFailure): void;
}

/** The words of an error that says enough by itself. */
export function explainPlainly(error: unknown): ContactFailure {
  const code = error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
  return { code, sentence: error instanceof Error ? error.message : String(error) };
}
