/** Takes connections over TCP or TLS, with bounds on those that have not proved anything yet. */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type ServerSecurity, serverTls } from "./tls.ts";
import { addressOf, type SocketAddress } from "./udp.ts";

export interface ListenOptions {
  /** Address or name to bind; default all of IPv4. */
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
}

export const DEFAULT_LISTEN_CONNECTIONS = 20_000;
export const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;

export interface TcpListener {
  readonly address: SocketAddress;
  /** Takes no more connections; those that were handed over are their owner's. */
  close(): Promise<void>;
}

/**
 * Binds, and hands over each connection, paused, once its handshake is done.
 *
 * @throws {EnvironmentError} `SOCKET_BIND`, `HOST_UNKNOWN`
 */
export async function listenTcp(
  options: ListenOptions,
  onConnection: (socket: Socket, identity: string | undefined) => void,
): Promise<TcpListener> {
  const { port = 0, connections = DEFAULT_LISTEN_CONNECTIONS, security } = options;
  const host = options.host === undefined ? "0.0.0.0" : await addressOf(options.host);
  /** In their handshake, by where they come from. */
  const unproved = new Map<string, Socket>();
  const server = security
    ? secured(options, security, (socket, identity) => {
        unproved.delete(originOf(socket));
        onConnection(socket, identity);
      })
    : createServer({ pauseOnConnect: true }, (socket) => onConnection(socket, undefined));
  if (security)
    server.on("connection", (socket: Socket) => {
      const origin = originOf(socket);
      unproved.set(origin, socket);
      socket.once("close", () => unproved.delete(origin));
    });
  server.maxConnections = connections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new EnvironmentError("SOCKET_BIND", "cannot bind the TCP socket", { host, port }, { cause })),
    );
    server.listen(port, host, resolve);
  });
  server.removeAllListeners("error");
  // A connection that breaks before it is taken is no concern of the others.
  server.on("error", () => undefined);
  return { address: boundTo(server), close: () => closed(server, unproved) };
}

function secured(
  options: ListenOptions,
  security: ServerSecurity,
  onConnection: (socket: Socket, identity: string | undefined) => void,
): Server {
  const { protocols = ["coap"], handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS } = options;
  const identities = new WeakMap<TLSSocket, string>();
  const server = createTlsServer({
    ...serverTls(security, (socket, identity) => identities.set(socket, identity)),
    ALPNProtocols: [...protocols],
    handshakeTimeout: handshakeTimeoutMs,
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    socket.pause();
    onConnection(socket, identities.get(socket) ?? fingerprintOf(socket));
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

function fingerprintOf(socket: TLSSocket): string | undefined {
  return socket.getPeerCertificate().fingerprint256?.replaceAll(":", "").toLowerCase();
}

const originOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

function boundTo(server: Server): SocketAddress {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new EnvironmentError("SOCKET_BIND", "not bound to a port");
  return { address: bound.address, port: bound.port };
}

function closed(server: Server, unproved: ReadonlyMap<string, Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of unproved.values()) socket.destroy();
  });
}
