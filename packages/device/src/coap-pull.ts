/** One connection of a pull over CoAP in datagrams: which socket it uses, and how long that lives. */
import { isIP } from "node:net";
import { type CoapRequest, createRequest, type Peer } from "@airlift/protocol/coap/exchange";
import { OPTION, textOption } from "@airlift/protocol/coap/options";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import type { CoapClient } from "@airlift/runtime/coap";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { resolveUdpPeer } from "@airlift/runtime/udp";
import type { ServerChannel } from "./server-channel.ts";
import type { PackageUri } from "./transfer/package-uri.ts";

export interface CoapPullOptions {
  /** The way to the server, over which comes what the server itself has; absent: nothing does. */
  readonly session: Pick<ServerChannel, "coap" | "holderOf"> | undefined;
  /** Local address of a socket of its own. */
  readonly bindHost?: string | undefined;
  readonly loss?: ((direction: "in" | "out", datagram: Uint8Array) => boolean) | undefined;
  /** @throws {NoPullSecurity} */
  securityFor(uri: string): Promise<TransportSecurity>;
  /** Parameters of the connections to `uri`. */
  transmissionFor(uri: string): TransmissionParameters | undefined;
  readonly blockBytes?: number | undefined;
}

export interface CoapConnection {
  readonly uri: string;
  readonly parts: PackageUri;
  /** Octets that are held, of the image with this tag. */
  readonly offset: number;
  readonly etag: Uint8Array | undefined;
  /** Ends it; a socket of its own is closed. */
  readonly signal: AbortSignal;
  onOrigin(etag: Uint8Array | undefined, sizeBytes: number | undefined): void;
  write(bytes: Uint8Array, offset: number): Promise<void>;
}

/** A client, whom it asks, and its end. */
export interface PullSocket {
  readonly client: CoapClient<Peer>;
  readonly peer: Peer;
  close(): Promise<void>;
}

/** Over the session with the server, if that is who has it. Rejects as `CoapClient.download`, and with HOST_UNKNOWN. */
export async function pullFromServer(options: CoapPullOptions, connection: CoapConnection): Promise<boolean> {
  const { session } = options;
  const peer = await session?.holderOf(connection.parts);
  connection.signal.throwIfAborted();
  if (session === undefined || peer === undefined) return false;
  await download(options, { client: session.coap, peer }, connection);
  return true;
}

/** Pulls until the end of the image. Rejects as `CoapClient.download`, and with `HOST_UNKNOWN`, `SOCKET_BIND`, `NoPullSecurity`. */
export async function pullCoap(options: CoapPullOptions, connection: CoapConnection): Promise<void> {
  const { parts, signal } = connection;
  const socket = parts.scheme === "coaps" ? await openSecured(options, connection) : await openPlain(options, parts);
  try {
    signal.throwIfAborted();
    await download(options, socket, connection);
  } finally {
    await socket.close();
  }
}

/** The first request of a pull. */
export function requestOf({ host, pathAndQuery }: PackageUri): CoapRequest {
  const hostOption = isIP(host) ? [] : [textOption(OPTION.uriHost, host)];
  return createRequest("get", pathAndQuery, { options: hostOption });
}

async function openPlain({ bindHost, loss }: CoapPullOptions, { host, port }: PackageUri): Promise<PullSocket> {
  const peer = await resolveUdpPeer(host, port);
  // Connected, so that a network that refuses is heard at once.
  const client = await openCoapUdp({ host: bindHost, connect: peer, loss });
  return { client, peer, close: () => client.close() };
}

async function openSecured(options: CoapPullOptions, { uri, parts, signal }: CoapConnection): Promise<PullSocket> {
  const security = await options.securityFor(uri);
  signal.throwIfAborted();
  const { openDtlsPull } = await import("./dtls-pull.ts");
  return openDtlsPull(options, parts, security);
}

async function download(
  { transmissionFor, blockBytes }: CoapPullOptions,
  { client, peer }: Pick<PullSocket, "client" | "peer">,
  { uri, parts, offset, etag, signal, onOrigin, write }: CoapConnection,
): Promise<void> {
  await client.download(
    peer,
    requestOf(parts),
    { write },
    {
      offset,
      etag,
      transmission: transmissionFor(uri),
      blockBytes,
      signal,
      onStart: (start) => onOrigin(start.etag, start.sizeBytes),
    },
  );
}
