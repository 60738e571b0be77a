/** A DTLS server as a channel of datagrams, for a `CoapNode` or anything else that speaks in datagrams. */
import { DtlsEndpoint } from "@airlift/protocol/dtls/endpoint";
import type { DtlsInput, DtlsLoad, DtlsOptions, DtlsOutput } from "@airlift/protocol/dtls/endpoint-types";
import type { OpenHandshake } from "@airlift/protocol/dtls/handshake-table";
import type { Wanted, Withdrawn } from "@airlift/protocol/dtls/handshake-types";
import { explain, type Reason } from "@airlift/protocol/dtls/reasons";
import { type DtlsPeer as CorePeer, DtlsSession } from "@airlift/protocol/dtls/session";
import type { DtlsSnapshot } from "@airlift/protocol/dtls/snapshot";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { DatagramChannel, DatagramReceiver } from "./datagrams.ts";
import { type Driven, drive } from "./drive.ts";
import { type DtlsServerCredentials, lookUp, serverCredentials } from "./dtls-credentials.ts";
import { dtlsCrypto } from "./dtls-crypto.ts";
import { openUdp, type SocketAddress, type Udp, type UdpOptions, type UdpPeer } from "./udp.ts";

/** The port of `coaps:`. @see RFC 7252 §6.2 */
export const COAPS_PORT = 5684;

/** A peer that proved its identity. Its `key` is the session's: it stays when the peer's address changes. */
export type DtlsPeer = CorePeer<UdpPeer>;

/** What happened to sessions and handshakes. `code` is a `ReasonCode`, `why` one line for the operator; neither holds secrets. */
export type DtlsEvent =
  | { readonly kind: "opened"; readonly peer: DtlsPeer }
  | { readonly kind: "closed"; readonly peer: DtlsPeer; readonly code: string; readonly why: string }
  | { readonly kind: "moved"; readonly peer: DtlsPeer; readonly from: SocketAddress }
  | { readonly kind: "refused"; readonly address: SocketAddress; readonly code: string; readonly why: string };

/** Limits, times and choices of the core; what is absent is as in `DEFAULT_DTLS_OPTIONS`. */
export type DtlsTuning = Partial<Omit<DtlsOptions, "server" | "utcMs">>;

export interface DtlsServerOptions {
  /** Where to listen; default any free port. */
  readonly udp?: UdpOptions | undefined;
  readonly credentials: DtlsServerCredentials;
  readonly limits?: DtlsTuning | undefined;
  /** What `exportSessions` of an earlier server gave. Never open two servers with the same text. */
  readonly sessions?: string | undefined;
  readonly onEvent?: ((event: DtlsEvent) => void) | undefined;
}

export interface DtlsServer extends DatagramChannel<DtlsPeer> {
  readonly address: SocketAddress;
  readonly load: DtlsLoad;
  /** All sessions, from the most silent to the last heard. */
  sessions(): Iterable<DtlsPeer>;
  /** Whether the session is established and not ended. */
  has(peer: DtlsPeer): boolean;
  /**
   * Believes these authorities of client certificates (PEM) from the next handshake on, and no others; "" = none.
   *
   * @throws {UsageError} `DTLS_CREDENTIAL`; then those before stay.
   */
  setAuthorities(certificatesPem: string): void;
  /** Ends the sessions of an identity whose credential was withdrawn, without a name those of a kind; none is resumed. */
  revoke(identity: Withdrawn): void;
  /**
   * All sessions as text that holds their keys: keep it as secret as a private key, and delete it once it is taken up. The
   * server is silent from now on; `close` it next.
   */
  exportSessions(): string;
}

/**
 * Binds a socket and listens.
 *
 * @throws {EnvironmentError} `SOCKET_BIND`
 * @throws {UsageError} `DTLS_CREDENTIAL`, `DTLS_SNAPSHOT`
 */
export async function openDtlsServer(options: DtlsServerOptions): Promise<DtlsServer> {
  const server = serverCredentials(options.credentials);
  const core = new DtlsEndpoint<UdpPeer>(dtlsCrypto, { ...options.limits, server, utcMs: () => Date.now() });
  if (options.sessions !== undefined) core.importSessions(parseSnapshot(options.sessions), performance.now());
  return new DtlsServerChannel(await openUdp(options.udp), core, options);
}

function parseSnapshot(text: string): DtlsSnapshot<UdpPeer> {
  try {
    const snapshot = JSON.parse(text) as DtlsSnapshot<UdpPeer>;
    if (snapshot.version === 1 && Array.isArray(snapshot.sessions)) return snapshot;
  } catch {
    // What is no JSON is no snapshot either; its text may hold keys and is not repeated.
  }
  throw new UsageError("DTLS_SNAPSHOT", "these are no exported sessions");
}

/** One for all: devices come and go all the time, and why one went is in the event. */
const SESSION_ENDED = new EnvironmentError("DTLS_CLOSED", "the session has ended");

class DtlsServerChannel implements DtlsServer {
  readonly address: SocketAddress;
  readonly #udp: Udp;
  readonly #core: DtlsEndpoint<UdpPeer>;
  readonly #options: DtlsServerOptions;
  readonly #driven: Driven<DtlsInput<UdpPeer>, DtlsOutput<UdpPeer>>;
  #receiver: DatagramReceiver<DtlsPeer> | undefined;

  constructor(udp: Udp, core: DtlsEndpoint<UdpPeer>, options: DtlsServerOptions) {
    this.address = udp.address;
    this.#udp = udp;
    this.#core = core;
    this.#options = options;
    this.#driven = drive(core, { kind: "wake" }, (output) => this.#perform(output));
  }

  get load(): DtlsLoad {
    return this.#core.load;
  }

  sessions(): Iterable<DtlsPeer> {
    return this.#core.sessions();
  }

  has(peer: DtlsPeer): boolean {
    return peer instanceof DtlsSession && this.#core.has(peer);
  }

  setAuthorities(certificatesPem: string): void {
    const { credentials } = this.#options;
    const trust = { ...credentials.trust, certificatesPem };
    this.#driven.feed({ kind: "credentials", server: serverCredentials({ ...credentials, trust }) });
  }

  open(receiver: DatagramReceiver<DtlsPeer>): void {
    this.#receiver = receiver;
    this.#udp.open({
      onDatagram: (address, datagram) => void this.#driven.feed({ kind: "datagram", address, datagram }),
      // Only a socket that talks to one peer is told by the network.
      onUnreachable: () => {},
    });
  }

  send(peer: DtlsPeer, bytes: Uint8Array, isWatched: boolean): void {
    if (peer instanceof DtlsSession && this.has(peer)) this.#driven.feed({ kind: "send", session: peer, bytes });
    else if (isWatched) queueMicrotask(() => this.#unreachable(peer));
  }

  revoke(identity: Withdrawn): void {
    this.#driven.feed({ kind: "revoke", identity });
  }

  exportSessions(): string {
    return JSON.stringify(this.#core.exportSessions(performance.now()));
  }

  /** Sessions are not ended: peers may go on with a server that takes them up. */
  async close(): Promise<void> {
    this.#driven.stop();
    await this.#udp.close();
  }

  #perform(output: DtlsOutput<UdpPeer>): void {
    switch (output.kind) {
      case "send":
        this.#udp.send(output.address, output.datagram, false);
        break;
      case "received":
        this.#receiver?.onDatagram(output.session, output.bytes);
        break;
      case "ask":
        this.#ask(output.handshake, output.wanted);
        break;
      case "opened":
        this.#options.onEvent?.({ kind: "opened", peer: output.session });
        break;
      case "moved":
        this.#options.onEvent?.({ kind: "moved", peer: output.session, from: output.from });
        break;
      case "closed":
        this.#options.onEvent?.({ kind: "closed", peer: output.session, ...told(output.reason) });
        this.#unreachable(output.session);
        break;
      case "failed":
        this.#options.onEvent?.({ kind: "refused", address: output.address, ...told(output.reason) });
        break;
    }
  }

  #ask(handshake: OpenHandshake<UdpPeer>, wanted: Wanted): void {
    const found = lookUp(this.#options.credentials, wanted);
    if (found instanceof Promise)
      void found.then((answer) => this.#driven.feed({ kind: "found", handshake, found: answer }));
    else this.#driven.feed({ kind: "found", handshake, found });
  }

  #unreachable(peer: DtlsPeer): void {
    this.#receiver?.onUnreachable(peer, SESSION_ENDED);
  }
}

/** A reason for logs and events. */
export const told = (reason: Reason): { code: string; why: string } => ({ code: reason.code, why: explain(reason) });
