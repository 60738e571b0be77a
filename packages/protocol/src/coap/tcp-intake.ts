/** Reads what came on each connection, and no further than it can be answered: the peer's own sending then waits (back-pressure). */
import { PeerError } from "../lib/errors.ts";
import { isRequestCode } from "./codes.ts";
import type { Peer } from "./exchange.ts";
import { SIGNAL } from "./signals.ts";
import type { TcpConnection } from "./tcp-connection.ts";
import type { TcpLayer } from "./tcp-layer.ts";
import type { TcpMessage } from "./tcp-message.ts";

export class TcpIntake<P extends Peer> {
  readonly #layer: TcpLayer<P>;
  readonly #receive: (connection: TcpConnection<P>, message: TcpMessage, nowMs: number) => void;
  #heldBytes = 0;

  constructor(layer: TcpLayer<P>, receive: (connection: TcpConnection<P>, message: TcpMessage, nowMs: number) => void) {
    this.#layer = layer;
    this.#receive = receive;
  }

  /** Memory for what is unfinished or waits, of all connections. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Hands on every message that is there and can be dealt with now; asks to `pause` and `resume` as needed.
   *
   * @throws {PeerError} `COAP_FORMAT`, `COAP_TOO_LARGE`, `COAP_CROWDED` when unfinished messages take too much memory in all.
   */
  read(connection: TcpConnection<P>, nowMs: number): void {
    const { peer, decoder } = connection;
    this.#readAll(connection, nowMs);
    if (!this.#layer.isReachable(connection)) return;
    this.#heldBytes += decoder.heldBytes - connection.countedBytes;
    connection.countedBytes = decoder.heldBytes;
    if (this.#heldBytes > this.#layer.options.heldBytes && decoder.heldBytes > 0)
      throw new PeerError("COAP_CROWDED", "out of memory");
    const isPaused = connection.held !== undefined;
    if (isPaused === connection.isPaused) return;
    this.#layer.emit({ kind: isPaused ? "pause" : "resume", peer });
    connection.isPaused = isPaused;
    // It could not be heard meanwhile.
    connection.lastHeardAtMs = nowMs;
  }

  forget(connection: TcpConnection<P>): void {
    this.#heldBytes -= connection.countedBytes;
    connection.countedBytes = 0;
  }

  #readAll(connection: TcpConnection<P>, nowMs: number): void {
    const { decoder } = connection;
    let hasRead = false;
    while (this.#layer.isReachable(connection)) {
      const message = connection.held ?? decoder.next();
      if (message === undefined) break;
      hasRead ||= connection.held === undefined;
      const mustAnswer = isRequestCode(message.code) || message.code === SIGNAL.ping;
      connection.held = mustAnswer && this.#isFull(connection) ? message : undefined;
      if (connection.held) break;
      this.#receive(connection, message, nowMs);
    }
    if (connection.held !== undefined || !decoder.isPartial) connection.partialSinceMs = undefined;
    else if (hasRead || connection.partialSinceMs === undefined) connection.partialSinceMs = nowMs;
  }

  #isFull({ servingCount, congestedSinceMs }: TcpConnection<P>): boolean {
    return congestedSinceMs !== undefined || servingCount >= this.#layer.options.servingPerPeer;
  }
}
