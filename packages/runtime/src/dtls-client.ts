/** A DTLS client as a channel of datagrams to one server; it connects when there is something to send. */
import type { ClientCredentials } from "@airlift/protocol/dtls/client-offer";
import { DtlsEndpoint } from "@airlift/protocol/dtls/endpoint";
import type { DtlsInput, DtlsOutput } from "@airlift/protocol/dtls/endpoint-types";
import { explain } from "@airlift/protocol/dtls/reasons";
import type { DtlsSession } from "@airlift/protocol/dtls/session";
import { EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import type { DatagramChannel, DatagramReceiver } from "./datagrams.ts";
import { type Driven, drive } from "./drive.ts";
import { type DtlsEvent, type DtlsPeer, type DtlsTuning, told } from "./dtls.ts";
import { clientCredentials, type DtlsClientCredential } from "./dtls-credentials.ts";
import { dtlsCrypto } from "./dtls-crypto.ts";
import { openUdp, type SocketAddress, type Udp, type UdpPeer, udpPeer } from "./udp.ts";

export interface DtlsClientOptions {
  /** See `resolveUdpPeer`. */
  readonly server: SocketAddress;
  readonly credential: DtlsClientCredential;
  /** Address to bind; default any. */
  readonly host?: string | undefined;
  /** Port to bind; default any free one. */
  readonly port?: number | undefined;
  readonly limits?: DtlsTuning | undefined;
  readonly onEvent?: ((event: DtlsEvent) => void) | undefined;
}

/** The server, the same object whichever session there is with it. */
export interface DtlsServerPeer {
  readonly key: string;
  /** The present session, if there is one. */
  readonly session: DtlsPeer | undefined;
}

export interface DtlsClient extends DatagramChannel<DtlsServerPeer> {
  /** Whom to send to. */
  readonly server: DtlsServerPeer;
  /** Where the socket is bound. */
  readonly address: SocketAddress;
  /** Lets go of the session, if there is one, and resumes it with a new handshake: for a server that seems to have lost it. */
  renew(): void;
}

/** Datagrams that wait for the handshake; more are dropped, and sent again by whoever needs them. */
const MAX_WAITING = 16;

/**
 * Binds a socket for one server; nothing is sent yet.
 *
 * @throws {EnvironmentError} `SOCKET_BIND`
 * @throws {UsageError} `DTLS_CREDENTIAL`
 */
export async function openDtlsClient(options: DtlsClientOptions): Promise<DtlsClient> {
  const credentials = clientCredentials(options.credential);
  const udp = await openUdp({ host: options.host, port: options.port, connect: options.server });
  return new DtlsClientChannel(udp, credentials, options);
}

class ServerPeer implements DtlsServerPeer {
  readonly key: string;
  session: DtlsSession<UdpPeer> | undefined;

  constructor(key: string) {
    this.key = key;
  }
}

class DtlsClientChannel implements DtlsClient {
  readonly server: ServerPeer;
  readonly address: SocketAddress;
  readonly #udp: Udp;
  readonly #to: UdpPeer;
  readonly #credentials: ClientCredentials;
  readonly #options: DtlsClientOptions;
  readonly #driven: Driven<DtlsInput<UdpPeer>, DtlsOutput<UdpPeer>>;
  #receiver: DatagramReceiver<DtlsServerPeer> | undefined;
  #waiting: Uint8Array[] = [];

  constructor(udp: Udp, credentials: ClientCredentials, options: DtlsClientOptions) {
    this.#udp = udp;
    this.address = udp.address;
    this.#to = udpPeer(options.server.address, options.server.port);
    this.server = new ServerPeer(`dtls-server ${this.#to.key}`);
    this.#credentials = credentials;
    this.#options = options;
    const core = new DtlsEndpoint<UdpPeer>(dtlsCrypto, {
      connectionIds: "send",
      ...options.limits,
      utcMs: () => Date.now(),
    });
    this.#driven = drive(core, { kind: "wake" }, (output) => this.#perform(output));
  }

  open(receiver: DatagramReceiver<DtlsServerPeer>): void {
    this.#receiver = receiver;
    this.#udp.open({
      onDatagram: (address, datagram) => void this.#driven.feed({ kind: "datagram", address, datagram }),
      onUnreachable: (_, error) => receiver.onUnreachable(this.server, error),
    });
  }

  send(_: DtlsServerPeer, bytes: Uint8Array): void {
    const { session } = this.server;
    if (session) {
      this.#driven.feed({ kind: "send", session, bytes });
      return;
    }
    // A retransmission is the same octets: one of them is enough.
    if (this.#waiting.length < MAX_WAITING && !this.#waiting.includes(bytes)) this.#waiting.push(bytes);
    this.#driven.feed({ kind: "connect", address: this.#to, credentials: this.#credentials });
  }

  renew(): void {
    const { session } = this.server;
    this.server.session = undefined;
    if (session) this.#driven.feed({ kind: "close", session });
    this.#driven.feed({ kind: "connect", address: this.#to, credentials: this.#credentials });
  }

  async close(): Promise<void> {
    const { session } = this.server;
    if (session) this.#driven.feed({ kind: "close", session });
    this.#driven.stop();
    await this.#udp.close();
  }

  #perform(output: DtlsOutput<UdpPeer>): void {
    switch (output.kind) {
      case "send":
        this.#udp.send(output.address, output.datagram, false);
        break;
      case "received":
        this.#receiver?.onDatagram(this.server, output.bytes);
        break;
      case "opened":
        this.#opened(output.session);
        break;
      case "closed":
        this.#options.onEvent?.({ kind: "closed", peer: output.session, ...told(output.reason) });
        if (this.server.session !== output.session) return;
        this.server.session = undefined;
        this.#receiver?.onUnreachable(this.server, new EnvironmentError("DTLS_CLOSED", explain(output.reason)));
        break;
      case "failed":
        this.#waiting = [];
        this.#options.onEvent?.({ kind: "refused", address: output.address, ...told(output.reason) });
        this.#receiver?.onUnreachable(this.server, new PeerError(output.reason.code, explain(output.reason)));
        break;
      case "ask":
      case "moved":
        break;
    }
  }

  #opened(session: DtlsSession<UdpPeer>): void {
    this.server.session = session;
    this.#options.onEvent?.({ kind: "opened", peer: session });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const bytes of waiting) this.#driven.feed({ kind: "send", session, bytes });
  }
}
