/** The server over TCP or TLS: one connection, made anew when it has fallen (RFC 8323). */
import type { Peer } from "@airlift/protocol/coap/exchange";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import { CoapTcp, type TcpPeer } from "@airlift/runtime/coap-tcp";
import { addressOf } from "@airlift/runtime/udp";
import { meaningOf } from "./refusals.ts";
import {
  type ContactFailure,
  explainPlainly,
  type ServerChannel,
  type ServerChannelOptions,
} from "./server-channel.ts";
import type { PackageUri } from "./transfer/package-uri.ts";

export function openTcpChannel(options: ServerChannelOptions, security: TransportSecurity | undefined): ServerChannel {
  return new TcpServerChannel(options, security);
}

class TcpServerChannel implements ServerChannel {
  readonly coap: CoapTcp;
  readonly #options: ServerChannelOptions;
  readonly #security: TransportSecurity | undefined;
  #server: TcpPeer | undefined;
  #connecting: Promise<TcpPeer> | undefined;
  #isClosed = false;

  constructor(options: ServerChannelOptions, security: TransportSecurity | undefined) {
    this.#options = options;
    this.#security = security;
    this.coap = new CoapTcp({ onDisconnect: (peer, reason) => this.#disconnected(peer, reason) });
  }

  async reach(signal?: AbortSignal): Promise<Peer> {
    if (this.#server) return this.#server;
    this.#connecting ??= this.#connect(signal).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  isServer(peer: Peer): boolean {
    return peer.key === this.#server?.key;
  }

  async holderOf({ scheme, host, port }: PackageUri): Promise<Peer | undefined> {
    const { address } = this.#options;
    if (scheme !== address.scheme || port !== address.port || this.#server === undefined) return undefined;
    const isSame = host === address.host || (await addressOf(host)) === this.#server.address;
    return isSame ? this.#server : undefined;
  }

  /** A connection that gives no answers is as good as none. */
  renew(): void {
    this.rest();
  }

  explain(error: unknown): ContactFailure {
    const { code, sentence } = explainPlainly(error);
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
    if (code !== "TLS_FAILED" || cause === undefined) return { code, sentence };
    return { code, sentence: `no secure connection with the server: ${reasonOf(cause)}` };
  }

  rest(): void {
    const server = this.#server;
    this.#server = undefined;
    if (server) this.coap.disconnect(server);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.coap.close();
  }

  async #connect(signal: AbortSignal | undefined): Promise<TcpPeer> {
    const { host, port } = this.#options.address;
    const server = await this.coap.connect({ host, port, security: this.#security, signal });
    this.#server = server;
    return server;
  }

  #disconnected(peer: TcpPeer, reason: string): void {
    if (peer !== this.#server) return;
    this.#server = undefined;
    const sentence = `the connection with the server ended (${reason})`;
    if (!this.#isClosed) this.#options.onLost({ code: "CONNECTION_LOST", sentence });
  }
}

function reasonOf(cause: Error): string {
  const code = "code" in cause ? String(cause.code) : "";
  return meaningOf(code) ?? `${cause.message.split("\n", 1)[0]}${code && ` (${code})`}`;
}
