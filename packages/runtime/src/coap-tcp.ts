/** CoAP over TCP and TLS, client and server in one (RFC 8323). A peer is a connection. */
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { BlockLimits } from "@airlift/protocol/coap/block-option";
import type { ExchangeInput } from "@airlift/protocol/coap/endpoint-types";
import type { CoapRequest, Peer } from "@airlift/protocol/coap/exchange";
import { TcpEndpoint, type TcpEndpointLoad } from "@airlift/protocol/coap/tcp-endpoint";
import type {
  DisconnectReason,
  TcpEndpointInput,
  TcpEndpointOptions,
  TcpEndpointOutput,
} from "@airlift/protocol/coap/tcp-endpoint-types";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { CoapEndpoint } from "./coap-endpoint.ts";
import { createRandom } from "./coap-random.ts";
import { type Driven, drive } from "./drive.ts";
import { connectStream, DEFAULT_CONNECT_TIMEOUT_MS, type StreamTarget } from "./tcp.ts";
import { type Caller, type ListenOptions, listenTcp, type TcpListener } from "./tcp-listener.ts";
import type { TlsIdentity } from "./tls.ts";
import type { SocketAddress } from "./udp.ts";

/** The other end of one connection. `key` is unique among all there ever are. */
export interface TcpPeer extends Peer, SocketAddress {
  /** Who it proved to be to us as server; `undefined` on a connection that is not secured or that we made. */
  readonly identity: TlsIdentity | undefined;
}

export interface CoapTcpOptions {
  /** Limits and times; what is absent is as in `DEFAULT_TCP_OPTIONS`. */
  readonly endpoint?: Partial<TcpEndpointOptions> | undefined;
  /** Takes connections here; absent: only makes its own. */
  readonly listen?: ListenOptions | undefined;
  /** Octets that wait to be sent, of all connections; the one that adds to more is cut off. Default 256 MiB. */
  readonly unsentBytes?: number | undefined;
  /** A connection is gone. */
  readonly onDisconnect?: ((peer: TcpPeer, reason: DisconnectReason | "lost") => void) | undefined;
  /** A request has come: for how many milliseconds nothing more is to be read from this peer. Default: 0. */
  readonly paceMs?: ((peer: TcpPeer, request: CoapRequest) => number) | undefined;
}

export const DEFAULT_UNSENT_BYTES = 256 * 2 ** 20;

/** How long a peer may take to close a connection that we have ended. */
const LINGER_MS = 5_000;

/** The application protocol in the handshake. @see RFC 8323 §8.2 */
export const COAP_ALPN = "coap";

interface Stream {
  readonly peer: TcpPeer;
  readonly socket: Socket;
  isCongested: boolean;
  /** The endpoint wants nothing more for now. */
  isPaused: boolean;
  /** Runs while the peer's pace is kept. */
  pacing: NodeJS.Timeout | undefined;
  /** Why the endpoint gave it up. */
  reason: DisconnectReason | undefined;
  /** Waits for the peer's first CSM. */
  onReady: ((error?: EnvironmentError) => void) | undefined;
}

export class CoapTcp extends CoapEndpoint<TcpPeer> {
  readonly #core: TcpEndpoint<TcpPeer>;
  readonly #driven: Driven<TcpEndpointInput<TcpPeer>, TcpEndpointOutput<TcpPeer>>;
  readonly #streams = new Map<string, Stream>();
  readonly #options: CoapTcpOptions;
  readonly #due: TcpEndpointOutput<TcpPeer>[] = [];
  #listener: TcpListener | undefined;
  #isPerforming = false;
  #unsentBytes = 0;
  #isClosed = false;

  constructor(options: CoapTcpOptions = {}) {
    super();
    this.#options = options;
    this.#core = new TcpEndpoint<TcpPeer>(createRandom(), options.endpoint);
    this.#driven = drive(this.#core, { kind: "wake" }, (output) => this.#collect(output));
  }

  /** Takes connections from now on. Once. @throws {EnvironmentError} `SOCKET_BIND`, `HOST_UNKNOWN` */
  async listen(options: ListenOptions): Promise<void> {
    this.#listener = await listenTcp(options, (socket, caller) => void this.#attach(socket, caller));
  }

  /** Believes these vouchers for clients (PEM) from the next handshake on. Only where connections are secured. */
  setTrust(trust: string): void {
    this.#listener?.setTrust(trust);
  }

  /** Where connections are taken. */
  get address(): SocketAddress | undefined {
    return this.#listener?.address;
  }

  get load(): TcpEndpointLoad & { readonly unsentBytes: number } {
    return { ...this.#core.load, unsentBytes: this.#unsentBytes };
  }

  /**
   * A new connection; fulfilled when the server has told what it can do.
   *
   * @throws {EnvironmentError} As `connectStream`; `CONNECTION_LOST` also when the server ends it at once.
   */
  async connect(target: Omit<StreamTarget, "protocol">): Promise<TcpPeer> {
    const { timeoutMs = DEFAULT_CONNECT_TIMEOUT_MS, signal } = target;
    const socket = await connectStream({ ...target, protocol: COAP_ALPN });
    if (this.#isClosed) socket.destroy();
    return new Promise((resolve, reject) => {
      const { remoteAddress: address = "", remotePort: port = 0 } = socket;
      const stream = this.#attach(socket, { address: { address, port }, identity: undefined });
      const lost = new EnvironmentError("CONNECTION_LOST", "the server did not say what it can do", { timeoutMs });
      const timer = setTimeout(() => socket.destroy(), timeoutMs);
      const onAbort = (): void => void socket.destroy();
      signal?.addEventListener("abort", onAbort, { once: true });
      const done = (error?: unknown): void => {
        stream.onReady = undefined;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        if (error) reject(signal?.aborted ? signal.reason : error);
        else resolve(stream.peer);
      };
      stream.onReady = done;
      if (signal?.aborted || socket.destroyed) done(lost);
    });
  }

  /** Ends a connection in good order; its exchanges fail with `COAP_UNREACHABLE`. May be called twice. */
  disconnect(peer: TcpPeer): void {
    this.#step({ kind: "release", peer });
  }

  /** Connections now, those that we made included. */
  peers(): readonly TcpPeer[] {
    return [...this.#streams.values()].map(({ peer }) => peer);
  }

  /** Ends all connections. Requests that wait reject with `COAP_CLOSED`. May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.end();
    for (const { peer } of [...this.#streams.values()]) this.disconnect(peer);
    this.#driven.stop();
    const ends = [...this.#streams.values()].map(({ socket }) => endOf(socket));
    await Promise.all([this.#listener?.close(), ...ends]);
  }

  protected override feed(input: ExchangeInput<TcpPeer>): void {
    this.#step(input);
  }

  protected override blocksOf(peer: TcpPeer): BlockLimits {
    return this.#core.blocksOf(peer);
  }

  #attach(socket: Socket, { address, identity }: Caller): Stream {
    const peer: TcpPeer = { ...address, identity, key: randomUUID() };
    const stream: Stream = {
      peer,
      socket,
      isCongested: false,
      isPaused: false,
      pacing: undefined,
      reason: undefined,
      onReady: undefined,
    };
    this.#streams.set(peer.key, stream);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#gone(stream));
    socket.on("drain", () => {
      stream.isCongested = false;
      this.#step({ kind: "drained", peer });
    });
    socket.on("data", (buffer: Buffer) => {
      if (stream.reason) return;
      // What follows from one reading goes out in one writing.
      socket.cork();
      this.#step({
        kind: "bytes",
        peer,
        bytes: new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length),
      });
      socket.uncork();
    });
    this.#step({ kind: "opened", peer });
    if (this.#isClosed) socket.destroy();
    else socket.resume();
    return stream;
  }

  #gone(stream: Stream): void {
    const { peer, reason } = stream;
    clearTimeout(stream.pacing);
    if (!this.#streams.delete(peer.key)) return;
    this.#step({ kind: "closed", peer });
    stream.onReady?.(new EnvironmentError("CONNECTION_LOST", "the server ended the connection", { reason }));
    this.#options.onDisconnect?.(peer, reason ?? "lost");
  }

  /**
   * Gives the core an input and carries out what follows, in its order: what an output causes comes after all that were
   * there before it. So a peer that sends many small requests makes no deep stack either.
   */
  #step(input: TcpEndpointInput<TcpPeer>): void {
    if (this.#isPerforming) {
      this.#driven.feed(input);
      return;
    }
    this.#isPerforming = true;
    try {
      this.#driven.feed(input);
    } finally {
      this.#isPerforming = false;
    }
    this.#performAll();
  }

  /** Collects; what a timer causes is carried out once it is all there. */
  #collect(output: TcpEndpointOutput<TcpPeer>): void {
    this.#due.push(output);
    if (!this.#isPerforming && this.#due.length === 1) queueMicrotask(() => this.#performAll());
  }

  #performAll(): void {
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    let place = 0;
    try {
      while (place < this.#due.length) {
        place += 1;
        this.#perform(this.#due[place - 1] as TcpEndpointOutput<TcpPeer>);
      }
    } finally {
      this.#due.splice(0, place);
      this.#isPerforming = false;
    }
  }

  #perform(output: TcpEndpointOutput<TcpPeer>): void {
    const stream = "peer" in output ? this.#streams.get(output.peer.key) : undefined;
    if (output.kind === "write") this.#write(stream, output.bytes);
    else if (output.kind === "ready") stream?.onReady?.();
    else if (output.kind === "pause" || output.kind === "resume") this.#pause(stream, output.kind === "pause");
    else if (output.kind === "disconnect") this.#end(stream, output.reason);
    else {
      if (output.kind === "request") this.#pace(this.#streams.get(output.incoming.peer.key), output.incoming.request);
      this.perform(output);
    }
  }

  #pause(stream: Stream | undefined, isPaused: boolean): void {
    if (stream === undefined) return;
    stream.isPaused = isPaused;
    if (isPaused) stream.socket.pause();
    else if (stream.pacing === undefined) stream.socket.resume();
  }

  /** Whoever sends faster than it may is read more slowly: its own connection fills up, and nothing is lost. */
  #pace(stream: Stream | undefined, request: CoapRequest): void {
    if (stream === undefined) return;
    const waitMs = this.#options.paceMs?.(stream.peer, request) ?? 0;
    if (waitMs <= 0) return;
    stream.socket.pause();
    clearTimeout(stream.pacing);
    stream.pacing = setTimeout(() => {
      stream.pacing = undefined;
      if (!stream.isPaused) stream.socket.resume();
    }, waitMs).unref();
  }

  #write(stream: Stream | undefined, bytes: Uint8Array): void {
    if (stream === undefined || stream.socket.destroyed) return;
    const { socket, peer } = stream;
    this.#unsentBytes += bytes.length;
    const hasRoom = socket.write(bytes, () => {
      this.#unsentBytes -= bytes.length;
    });
    if (this.#unsentBytes > (this.#options.unsentBytes ?? DEFAULT_UNSENT_BYTES)) socket.destroy();
    else if (!hasRoom && !stream.isCongested) {
      stream.isCongested = true;
      this.#step({ kind: "congested", peer });
    }
  }

  #end(stream: Stream | undefined, reason: DisconnectReason): void {
    if (stream === undefined || stream.reason) return;
    stream.reason = reason;
    const { socket } = stream;
    // A peer that takes nothing gets no last word.
    if (reason === "stalled" || reason === "silent" || reason === "full") socket.destroy();
    else {
      socket.end();
      // Without being read, the end of the stream would not be seen.
      socket.resume();
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.on("close", () => clearTimeout(timer));
    }
  }
}

/** Opens an endpoint, and its listener if it has one. @throws {EnvironmentError} `SOCKET_BIND`, `HOST_UNKNOWN` */
export async function openCoapTcp(options: CoapTcpOptions = {}): Promise<CoapTcp> {
  const endpoint = new CoapTcp(options);
  if (options.listen) await endpoint.listen(options.listen);
  return endpoint;
}

function endOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}
