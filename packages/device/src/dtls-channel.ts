/** The server over DTLS: one session that outlives changes of our address (Connection ID), and is made anew when it is lost. */
import type { Peer } from "@airlift/protocol/coap/exchange";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { CoapNode } from "@airlift/runtime/coap-node";
import type { DatagramChannel, DatagramReceiver } from "@airlift/runtime/datagrams";
import type { DtlsEvent } from "@airlift/runtime/dtls";
import { type DtlsClient, openDtlsClient } from "@airlift/runtime/dtls-client";
import { clientCredentials, type DtlsClientCredential } from "@airlift/runtime/dtls-credentials";
import { addressOf, type SocketAddress } from "@airlift/runtime/udp";
import { meaningOf } from "./refusals.ts";
import {
  type ContactFailure,
  explainPlainly,
  type ServerChannel,
  type ServerChannelOptions,
} from "./server-channel.ts";
import type { PackageUri } from "./transfer/package-uri.ts";

/** @throws {UsageError} DTLS_CREDENTIAL */
export function openDtlsChannel(options: ServerChannelOptions, credential: DtlsClientCredential): ServerChannel {
  // What cannot be read now cannot be read later either.
  clientCredentials(credential);
  return new DtlsServerChannel(options, credential);
}

/** The one at the other end, whichever address and session it has: each datagram of it was authenticated. */
const SERVER: Peer = { key: "server" };

class DtlsServerChannel implements ServerChannel {
  readonly coap: CoapNode<Peer>;
  readonly #options: ServerChannelOptions;
  readonly #line: DtlsLine;
  /** Why the last handshake failed; until the next one is done. */
  #refusal: ContactFailure | undefined;

  constructor(options: ServerChannelOptions, credential: DtlsClientCredential) {
    const { transmission, loss, bind } = options;
    this.#options = options;
    this.#line = new DtlsLine({ credential, bind, onEvent: (event) => this.#happened(event) });
    this.coap = new CoapNode<Peer>(this.#line, { loss, endpoint: { ...(transmission && { transmission }) } });
  }

  async reach(): Promise<Peer> {
    const { host, port } = this.#options.address;
    await this.#line.towards({ address: await addressOf(host), port });
    return SERVER;
  }

  isServer(peer: Peer): boolean {
    return peer.key === SERVER.key;
  }

  async holderOf({ scheme, host, port }: PackageUri): Promise<Peer | undefined> {
    if (scheme !== "coaps") return undefined;
    return this.#line.isTowards({ address: await addressOf(host), port }) ? SERVER : undefined;
  }

  renew(): void {
    this.#line.renew();
  }

  explain(error: unknown): ContactFailure {
    return this.#refusal ?? explainPlainly(error);
  }

  rest(): void {
    this.#line.rest();
  }

  close(): Promise<void> {
    return this.coap.close();
  }

  #happened(event: DtlsEvent): void {
    if (event.kind === "opened") this.#refusal = undefined;
    if (event.kind === "refused")
      this.#refusal = {
        code: event.code,
        sentence: `no secure session with the server: ${meaningOf(event.why) ?? event.why}`,
      };
    if (event.kind === "closed" && !CLOSED_BY_US.has(event.code))
      this.#options.onLost({ code: event.code, sentence: `the secure session with the server ended: ${event.why}` });
  }
}

const CLOSED_BY_US: ReadonlySet<string> = new Set(["CLOSED_HERE", "REPLACED"]);

interface LineOptions {
  readonly credential: DtlsClientCredential;
  readonly bind: ServerChannelOptions["bind"];
  onEvent(event: DtlsEvent): void;
}

/** A channel to a server that may move: the client below is another one after each move. */
class DtlsLine implements DatagramChannel<Peer> {
  readonly #options: LineOptions;
  #receiver: DatagramReceiver<Peer> | undefined;
  #client: DtlsClient | undefined;
  #address: SocketAddress | undefined;
  /** One opening after the other: of two sockets one would be forgotten. */
  #opening: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  open(receiver: DatagramReceiver<Peer>): void {
    this.#receiver = receiver;
  }

  send(_: Peer, bytes: Uint8Array, isWatched: boolean): void {
    if (this.#client) this.#client.send(this.#client.server, bytes, isWatched);
    else if (isWatched) queueMicrotask(() => this.#receiver?.onUnreachable(SERVER, NOT_OPEN));
  }

  isTowards({ address, port }: SocketAddress): boolean {
    return this.#client !== undefined && address === this.#address?.address && port === this.#address.port;
  }

  /** @throws {EnvironmentError} SOCKET_BIND and the like */
  towards(address: SocketAddress): Promise<void> {
    this.#opening = this.#opening.catch(() => undefined).then(() => this.#move(address));
    return this.#opening;
  }

  renew(): void {
    this.#client?.renew();
  }

  /** A session that stands is silent; a handshake is not. */
  rest(): void {
    if (this.#client?.server.session === undefined) void this.#drop();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening.catch(() => undefined);
    await this.#drop();
  }

  async #move(address: SocketAddress): Promise<void> {
    if (this.isTowards(address) || this.#isClosed) return;
    await this.#drop();
    const { credential, bind, onEvent } = this.#options;
    const client = await openDtlsClient({ server: address, host: bind?.host, port: bind?.port, credential, onEvent });
    client.open({
      onDatagram: (_, bytes) => this.#receiver?.onDatagram(SERVER, bytes),
      onUnreachable: (_, error) => this.#receiver?.onUnreachable(SERVER, error),
    });
    this.#client = client;
    this.#address = address;
  }

  async #drop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
  }
}

const NOT_OPEN = new EnvironmentError("DTLS_CLOSED", "there is no session with the server");
