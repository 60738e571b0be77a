/** Takes connections over TCP or TLS, with bounds on those that have not proved anything yet. */
import { AsyncLocalStorage } from "node:async_hooks";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from "node:tls";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { bindFailure } from "./bind-failure.ts";
import { commonName } from "./dtls-crypto.ts";
import { PskGate } from "./psk-gate.ts";
import { type ServerSecurity, serverTls, type TlsIdentity, vouchers } from "./tls.ts";
import { addressOf, plainAddress, type SocketAddress } from "./udp.ts";

export interface ListenOptions {
  /** Address or name to bind; default all of IPv4. `::` takes IPv4 as well. */
  readonly host?: string | undefined;
  /** Default 0: any free port. */
  readonly port?: number | undefined;
  /** Absent: connections are not secured. */
  readonly security?: ServerSecurity | undefined;
  /** Application protocols taken; a client that offers none is taken too. Default `coap`. @see RFC 8323 §8.2 */
  readonly protocols?: readonly string[] | undefined;
  /** Connections at once, those in their handshake included; one more is closed unread. Default 20,000. */
  readonly connections?: number | undefined;
  /** How long a handshake may take. Default 10 s. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** A handshake came to nothing; `error` is that of node:tls. */
  readonly onRefused?: ((from: SocketAddress, error: NodeJS.ErrnoException) => void) | undefined;
}

/** Who is at the other end of a connection. */
export interface Caller {
  readonly address: SocketAddress;
  /** `undefined` on a connection that is not secured, and for a client that was not asked. */
  readonly identity: TlsIdentity | undefined;
}

export const DEFAULT_LISTEN_CONNECTIONS = 20_000;
export const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;

export interface TcpListener {
  readonly address: SocketAddress;
  /** Believes these vouchers for clients (PEM) from the next handshake on; not where connections are not secured. */
  setTrust(trust: string): void;
  /** Takes no more connections; those that were handed over are their owner's. */
  close(): Promise<void>;
}

/**
 * Binds, and hands over each connection, paused, once its handshake is done.
 *
 * @throws {EnvironmentError} `PORT_IN_USE`, `PORT_FORBIDDEN`, `NO_SUCH_ADDRESS`, `SOCKET_BIND`, `HOST_UNKNOWN`
 */
export async function listenTcp(
  options: ListenOptions,
  onConnection: (socket: Socket, caller: Caller) => void,
): Promise<TcpListener> {
  const { port = 0, connections = DEFAULT_LISTEN_CONNECTIONS, security } = options;
  const host = options.host === undefined ? "0.0.0.0" : await addressOf(options.host);
  const secured = security && new SecuredSide(options, security, onConnection);
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    if (secured) secured.take(socket);
    else onConnection(socket, { address: originOf(socket), identity: undefined });
  });
  server.maxConnections = connections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(bindFailure({ protocol: "TCP", host, port }, cause)));
    server.listen(port, host, resolve);
  });
  server.removeAllListeners("error");
  // A connection that breaks before it is taken is no concern of the others.
  server.on("error", () => undefined);
  return {
    address: boundTo(server),
    setTrust: (trust) => secured?.setTrust(trust),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        secured?.close();
      }),
  };
}

interface Handshake {
  readonly socket: Socket;
  readonly gate: PskGate | undefined;
  /** A socket that is gone does not know it any more. */
  readonly address: SocketAddress;
}

/** The handshakes of a listener. */
class SecuredSide {
  readonly #security: ServerSecurity;
  readonly #tls: TlsServer;
  /** In their handshake. */
  readonly #unproved = new Set<Socket>();
  /** Whose handshake it is that node:tls is busy with: it tells of its own sockets, not of those they stand on. */
  readonly #current = new AsyncLocalStorage<Handshake>();
  readonly #identities = new WeakMap<TLSSocket, TlsIdentity>();

  constructor(
    options: ListenOptions,
    security: ServerSecurity,
    onConnection: (socket: Socket, caller: Caller) => void,
  ) {
    const { protocols = ["coap"], handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS } = options;
    this.#security = security;
    this.#tls = createTlsServer({
      ...this.#tlsOptions(),
      ALPNProtocols: [...protocols],
      handshakeTimeout: handshakeTimeoutMs,
    });
    this.#tls.on("secureConnection", (secured) => {
      secured.pause();
      const handshake = this.#current.getStore();
      if (handshake) this.#unproved.delete(handshake.socket);
      const identity = this.#identities.get(secured) ?? certified(secured);
      onConnection(secured, { address: handshake?.address ?? originOf(secured), identity });
    });
    this.#tls.on("tlsClientError", (error, secured) => {
      options.onRefused?.(this.#current.getStore()?.address ?? originOf(secured), error);
      secured.destroy();
    });
  }

  take(socket: Socket): void {
    const { findPsk } = this.#security;
    socket.setNoDelay(true);
    this.#unproved.add(socket);
    socket.once("close", () => this.#unproved.delete(socket));
    const gate = findPsk && new PskGate(socket, findPsk);
    this.#current.run({ socket, gate, address: originOf(socket) }, () => this.#tls.emit("connection", gate ?? socket));
  }

  setTrust(trust: string): void {
    const { certificate, privateKey } = this.#security;
    if (certificate === undefined) return;
    const changed = { ca: vouchers(trust), cert: certificate, key: privateKey };
    this.#tls.setSecureContext({ ...this.#tlsOptions(), ...changed });
  }

  close(): void {
    for (const socket of this.#unproved) socket.destroy();
  }

  #tlsOptions(): TlsOptions {
    const { findPsk, ...security } = this.#security;
    const pskOf = findPsk ? (identity: string) => this.#current.getStore()?.gate?.keyOf(identity) : security.pskOf;
    return serverTls({ ...security, pskOf }, (socket, name) => this.#identities.set(socket, { kind: "psk", name }));
  }
}

/** Who an accepted certificate is for; one that nobody vouched for says nothing. */
function certified(socket: TLSSocket): TlsIdentity | undefined {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return undefined;
  const fingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  return { kind: "x509", name: commonName(certificate.subject), fingerprint };
}

function originOf({ remoteAddress = "", remotePort = 0 }: Socket): SocketAddress {
  return { address: plainAddress(remoteAddress), port: remotePort };
}

function boundTo(server: Server): SocketAddress {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new EnvironmentError("SOCKET_BIND", "not bound to a port");
  return { address: bound.address, port: bound.port };
}
