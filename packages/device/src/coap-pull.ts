/** One connection of a pull over CoAP: which socket it uses, and how long that lives. */
import { isIP } from "node:net";
import { type CoapRequest, createRequest } from "@airlift/protocol/coap/exchange";
import { OPTION, textOption } from "@airlift/protocol/coap/options";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import type { CoapClient } from "@airlift/runtime/coap";
import type { CoapUdp } from "@airlift/runtime/coap-udp";
import { resolveUdpPeer, type UdpPeer } from "@airlift/runtime/udp";
import type { PackageUri } from "./transfer/package-uri.ts";

export interface CoapPullOptions {
  /** The session with the server; used for what the server itself has. */
  readonly session: CoapClient<UdpPeer>;
  /** Whether what `peer` has comes over the session. */
  sharesSession(peer: UdpPeer): boolean;
  /** A socket of its own for one connection to `peer`. @throws {EnvironmentError} SOCKET_BIND */
  openSocket(peer: UdpPeer): Promise<CoapUdp>;
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

/** Pulls until the end of the image. Rejects as `CoapClient.download`, and with `HOST_UNKNOWN`, `SOCKET_BIND`. */
export async function pullCoap(options: CoapPullOptions, connection: CoapConnection): Promise<void> {
  const { parts, signal } = connection;
  const peer = await resolveUdpPeer(parts.host, parts.port);
  signal.throwIfAborted();
  if (options.sharesSession(peer)) return download(options, options.session, { ...connection, peer });
  const socket = await options.openSocket(peer);
  try {
    signal.throwIfAborted();
    await download(options, socket, { ...connection, peer });
  } finally {
    await socket.close();
  }
}

/** The first request of a pull. */
export function requestOf({ host, pathAndQuery }: PackageUri): CoapRequest {
  const hostOption = isIP(host) ? [] : [textOption(OPTION.uriHost, host)];
  return createRequest("get", pathAndQuery, { options: hostOption });
}

async function download(
  { transmissionFor, blockBytes }: CoapPullOptions,
  client: CoapClient<UdpPeer>,
  { peer, uri, parts, offset, etag, signal, onOrigin, write }: CoapConnection & { readonly peer: UdpPeer },
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
