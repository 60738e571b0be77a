/** A UDP socket as a channel of datagrams. */
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIP, isIPv6 } from "node:net";
import type { Peer } from "@airlift/protocol/coap/exchange";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { bindFailure } from "./bind-failure.ts";
import type { DatagramChannel, DatagramReceiver } from "./datagrams.ts";

export interface SocketAddress {
  /** An IP address, not a name: see `resolveUdpPeer`. */
  readonly address: string;
  readonly port: number;
}

/** A peer that is known by its address. `key` is unique among UDP peers. */
export interface UdpPeer extends Peer, SocketAddress {}

export interface UdpOptions {
  /** Address or name to bind; default all of IPv4. One of IPv6 makes an IPv6 socket, which for `::` takes IPv4 as well. */
  readonly host?: string | undefined;
  /** Default 0: any free port. */
  readonly port?: number | undefined;
  /** Talks to this one peer only; then the network's "unreachable" answers (ICMP) are seen. */
  readonly connect?: SocketAddress | undefined;
  /** Size asked of the system for the receive and send buffers; default 4 MiB. The system may give less. */
  readonly bufferBytes?: number | undefined;
}

export interface Udp extends DatagramChannel<UdpPeer> {
  readonly address: SocketAddress;
}

const RECENT_PEERS = 1_024;
const DEFAULT_BUFFER_BYTES = 4 * 2 ** 20;

export function udpPeer(address: string, port: number): UdpPeer {
  return { address, port, key: `${address} ${port}` };
}

/** How an IPv6 socket writes the address of a peer that came over IPv4. @see RFC 4291 §2.5.5.2 */
const MAPPED = "::ffff:";

/** The address itself: of IPv4 where an IPv6 socket shows one of IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith(MAPPED) && address.includes(".") ? address.slice(MAPPED.length) : address;
}

/**
 * The peer behind a host name or an address, looked up once.
 *
 * @throws {EnvironmentError} `HOST_UNKNOWN`
 */
export async function resolveUdpPeer(host: string, port: number): Promise<UdpPeer> {
  return udpPeer(await addressOf(host), port);
}

/** The address behind a name, or the one that was given. @throws {EnvironmentError} `HOST_UNKNOWN` */
export async function addressOf(host: string): Promise<string> {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare)) return bare;
  try {
    return (await lookup(bare, { order: "ipv4first" })).address;
  } catch (cause) {
    throw new EnvironmentError("HOST_UNKNOWN", `cannot find the address of ${host}`, { host }, { cause });
  }
}

/**
 * Binds a socket.
 *
 * @throws {EnvironmentError} `PORT_IN_USE`, `PORT_FORBIDDEN`, `NO_SUCH_ADDRESS`, `SOCKET_BIND` when the address or port
 * cannot be had, `HOST_UNKNOWN`.
 */
export async function openUdp(options: UdpOptions = {}): Promise<Udp> {
  const { connect } = options;
  const host = options.host === undefined ? undefined : await addressOf(options.host);
  const family = isIPv6(host ?? connect?.address ?? "") ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    // Peers are addresses already: asking the resolver for each datagram would cost more than sending it.
    lookup: (address, _options, done) => done(null, address, family),
  });
  try {
    await bind(socket, { ...options, host });
  } catch (cause) {
    socket.close();
    throw bindFailure({ protocol: "UDP", host: options.host, port: options.port ?? 0 }, cause);
  }
  return new UdpChannel(socket, connect && udpPeer(connect.address, connect.port));
}

async function bind(socket: Socket, options: UdpOptions): Promise<void> {
  const { host, port = 0, connect, bufferBytes = DEFAULT_BUFFER_BYTES } = options;
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ port, ...(host === undefined ? {} : { address: host }) }, () => resolve());
  });
  if (connect)
    await new Promise<void>((resolve, reject) => {
      // The callback gets what went wrong, which then is no event.
      const onConnected = (error?: Error): void => (error ? reject(error) : resolve());
      socket.connect(connect.port, connect.address, onConnected);
    });
  socket.removeAllListeners("error");
  try {
    socket.setRecvBufferSize(bufferBytes);
    socket.setSendBufferSize(bufferBytes);
  } catch {
    // A system that refuses keeps its own size.
  }
}

class UdpChannel implements Udp {
  readonly address: SocketAddress;
  readonly #socket: Socket;
  readonly #only: UdpPeer | undefined;
  readonly #recentPeers: (UdpPeer | undefined)[] = [];
  readonly #isIpv6: boolean;
  #receiver: DatagramReceiver<UdpPeer> | undefined;
  #isClosed = false;

  constructor(socket: Socket, only: UdpPeer | undefined) {
    this.#socket = socket;
    this.#only = only;
    const { address, port } = socket.address();
    this.address = { address, port };
    this.#isIpv6 = isIPv6(address);
    socket.on("error", (error) => {
      if (only) this.#receiver?.onUnreachable(only, error);
    });
  }

  open(receiver: DatagramReceiver<UdpPeer>): void {
    this.#receiver = receiver;
    this.#socket.on("message", (buffer, from) => {
      // Port 0 is reserved (RFC 6335 §6): whoever forged it can have no answer, and sending one throws.
      if (from.port === 0) return;
      // A plain array: `slice` of a Buffer is a view, that of everything else here a copy.
      const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
      receiver.onDatagram(this.#only ?? this.#peerAt(plainAddress(from.address), from.port), bytes);
    });
  }

  /** A peer is usually heard again soon: its key need not be put together, and hashed, for every datagram. */
  #peerAt(address: string, port: number): UdpPeer {
    const place = port % RECENT_PEERS;
    const recent = this.#recentPeers[place];
    if (recent?.port === port && recent.address === address) return recent;
    const peer = udpPeer(address, port);
    this.#recentPeers[place] = peer;
    return peer;
  }

  send(peer: UdpPeer, bytes: Uint8Array, isWatched: boolean): void {
    if (this.#isClosed) return;
    const report = isWatched ? (error: Error | null) => error && this.#receiver?.onUnreachable(peer, error) : undefined;
    if (this.#only) this.#socket.send(bytes, 0, bytes.length, report);
    else this.#socket.send(bytes, 0, bytes.length, peer.port, this.#asWritten(peer.address), report);
  }

  #asWritten(address: string): string {
    return this.#isIpv6 && !address.includes(":") ? MAPPED + address : address;
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    return new Promise((resolve) => {
      this.#socket.close(() => resolve());
    });
  }
}
