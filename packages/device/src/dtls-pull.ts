/** A DTLS session of its own for one connection of a pull. */
import { getCACertificates } from "node:tls";
import type { Peer } from "@airlift/protocol/coap/exchange";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import type { CoapClient } from "@airlift/runtime/coap";
import { CoapNode } from "@airlift/runtime/coap-node";
import { openDtlsClient } from "@airlift/runtime/dtls-client";
import type { DtlsClientCredential } from "@airlift/runtime/dtls-credentials";
import { addressOf } from "@airlift/runtime/udp";
import { NoPullSecurity } from "./pull-security.ts";
import type { PackageUri } from "./transfer/package-uri.ts";

export interface DtlsPullOptions {
  /** Local address. */
  readonly bindHost?: string | undefined;
  readonly loss?: ((direction: "in" | "out", datagram: Uint8Array) => boolean) | undefined;
}

/** A client, whom it asks, and its end. */
export interface DtlsPull {
  readonly client: CoapClient<Peer>;
  readonly peer: Peer;
  close(): Promise<void>;
}

/** @throws {NoPullSecurity} for security that DTLS does not offer; {EnvironmentError} HOST_UNKNOWN, SOCKET_BIND */
export async function openDtlsPull(
  { bindHost, loss }: DtlsPullOptions,
  { host, port }: PackageUri,
  security: TransportSecurity,
): Promise<DtlsPull> {
  const server = { address: await addressOf(host), port };
  const credential = dtlsCredentialOf(security, host);
  const dtls = await openDtlsClient({ server, host: bindHost, credential }).catch((cause: unknown) => {
    const isCredential = cause instanceof Error && "code" in cause && cause.code === "DTLS_CREDENTIAL";
    throw isCredential ? new NoPullSecurity("unsupportedProtocol", { cause }) : cause;
  });
  const client = new CoapNode(dtls, { loss });
  return { client, peer: dtls.server, close: () => client.close() };
}

function dtlsCredentialOf(security: TransportSecurity, host: string): DtlsClientCredential {
  if (security.kind === "psk") return { psk: security };
  if (security.pinnedSha256) throw new NoPullSecurity("unsupportedProtocol");
  const { trust = getCACertificates("default"), certificate, privateKey, serverName } = security;
  const certificatesPem = typeof trust === "string" ? trust : trust.join("\n");
  return {
    trust: { certificatesPem, host: serverName ?? host },
    ...(certificate && privateKey && { certificate: { chainPem: certificate, keyPem: privateKey } }),
  };
}
