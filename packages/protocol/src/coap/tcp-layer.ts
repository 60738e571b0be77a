/** The message layer over streams: nothing is repeated or acknowledged, and what can wait does while a peer takes nothing. */
import { EMPTY } from "../lib/bytes.ts";
import { CODE } from "./codes.ts";
import type { Peer } from "./exchange.ts";
import type { Content, Delivery, ExchangeLayer, Turn } from "./exchange-layer.ts";
import type { TcpConnection } from "./tcp-connection.ts";
import type { TcpEndpointOptions, TcpEndpointOutput } from "./tcp-endpoint-types.ts";
import { encodeTcpMessage, tcpMessageLength } from "./tcp-message.ts";

/** Shared by the parts of one endpoint; collects the outputs of the current step. */
export class TcpLayer<P extends Peer> implements ExchangeLayer<P, TcpConnection<P>> {
  readonly options: TcpEndpointOptions;
  readonly responseTimeoutMs: number;
  readonly #connections = new Map<string, TcpConnection<P>>();
  #outputs: TcpEndpointOutput<P>[] = [];

  constructor(options: TcpEndpointOptions) {
    this.options = options;
    this.responseTimeoutMs = options.responseTimeoutMs;
  }

  get size(): number {
    return this.#connections.size;
  }

  find(peer: P): TcpConnection<P> | undefined {
    return this.#connections.get(peer.key);
  }

  isReachable(connection: TcpConnection<P>): boolean {
    return this.#connections.get(connection.peer.key) === connection;
  }

  add(connection: TcpConnection<P>): void {
    this.#connections.set(connection.peer.key, connection);
  }

  delete(connection: TcpConnection<P>): void {
    this.#connections.delete(connection.peer.key);
    connection.waiting.length = 0;
  }

  touch(peer: P): TcpConnection<P> | undefined {
    const connection = this.find(peer);
    return connection?.isReleased ? undefined : connection;
  }

  emit(output: TcpEndpointOutput<P>): void {
    this.#outputs.push(output);
  }

  /** The outputs since the last call. */
  takeOutputs(): TcpEndpointOutput<P>[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  write(connection: TcpConnection<P>, bytes: Uint8Array): void {
    if (this.isReachable(connection)) this.#outputs.push({ kind: "write", peer: connection.peer, bytes });
  }

  /** Whether the peer takes a message so large. @see RFC 8323 §5.3.1 */
  fits({ capabilities }: TcpConnection<P>, content: Content): boolean {
    return tcpMessageLength(content) <= capabilities.maxMessageBytes;
  }

  /** A response that the peer could not take becomes 5.00. */
  send(connection: TcpConnection<P>, { code, token, options, payload }: Content): void {
    const message = this.fits(connection, { code, token, options, payload })
      ? { code, token, options, payload }
      : { code: CODE.internalServerError, token, options: [], payload: EMPTY };
    this.write(connection, encodeTcpMessage(message));
  }

  sendReliably(connection: TcpConnection<P>, content: Content, { owner, nowMs }: Delivery): undefined {
    this.send(connection, content);
    owner.onAcknowledged(nowMs);
  }

  stop(): void {}

  queueTurn(connection: TcpConnection<P>, turn: Turn, nowMs: number): void {
    if (connection.congestedSinceMs === undefined) turn.begin(nowMs);
    else connection.waiting.push(turn);
  }

  endTurn(): void {}

  leaveQueue({ waiting }: TcpConnection<P>, turn: Turn): void {
    const place = waiting.indexOf(turn);
    if (place >= 0) waiting.splice(place, 1);
  }

  /** The network takes more: what waited goes out. */
  drain(connection: TcpConnection<P>, nowMs: number): void {
    connection.congestedSinceMs = undefined;
    for (const turn of connection.waiting.splice(0)) turn.begin(nowMs);
  }
}
