/**
 * One CoAP endpoint over streams, client and server in one, for all its connections (RFC 8323 §3 … §7).
 *
 * What a peer sends never throws past `step`, and costs no more than `TcpEndpointOptions` allow.
 */
import { EMPTY } from "../lib/bytes.ts";
import type { Core, Random } from "../lib/core.ts";
import { Deadlines } from "../lib/deadlines.ts";
import { type Facts, PeerError } from "../lib/errors.ts";
import type { BlockLimits } from "./block-option.ts";
import { ClientExchanges } from "./client-exchanges.ts";
import { CODE, isRequestCode, isResponseCode } from "./codes.ts";
import type { RequestInput } from "./endpoint-types.ts";
import { createResponse, type Peer } from "./exchange.ts";
import { earlier } from "./message-layer.ts";
import { Observers } from "./observers.ts";
import { acceptableOptions } from "./options.ts";
import { ServerExchanges, type Serving } from "./server-exchanges.ts";
import {
  applyCsm,
  BASE_CAPABILITIES,
  checkSignalOptions,
  encodeAbort,
  encodeCsm,
  encodePing,
  encodeRelease,
  isSignalCode,
  SIGNAL,
} from "./signals.ts";
import {
  blocksWithin,
  connectionDueAtMs,
  judgeConnection,
  openConnection,
  type TcpConnection,
} from "./tcp-connection.ts";
import {
  DEFAULT_TCP_OPTIONS,
  type DisconnectReason,
  type TcpEndpointInput,
  type TcpEndpointOptions,
  type TcpEndpointOutput,
} from "./tcp-endpoint-types.ts";
import { TcpIntake } from "./tcp-intake.ts";
import { TcpLayer } from "./tcp-layer.ts";
import type { TcpMessage } from "./tcp-message.ts";
import { TcpReplies } from "./tcp-replies.ts";

/** What an endpoint holds at this moment. */
export interface TcpEndpointLoad {
  readonly connections: number;
  readonly exchanges: number;
  readonly serving: number;
  readonly observers: number;
  readonly heldBytes: number;
}

interface Abort {
  /** Default malformed. */
  readonly reason?: DisconnectReason;
  readonly diagnosis: string;
  readonly facts?: Facts;
}

const ABORT_OF: Readonly<Record<string, { readonly reason: DisconnectReason }>> = {
  COAP_CROWDED: { reason: "crowded" },
  COAP_NO_CSM: { reason: "noCsm" },
};

/** Longest token, to know before one is made up whether a request fits. */
const ANY_TOKEN = new Uint8Array(8);

export class TcpEndpoint<P extends Peer> implements Core<TcpEndpointInput<P>, TcpEndpointOutput<P>> {
  readonly #layer: TcpLayer<P>;
  readonly #client: ClientExchanges<P, TcpConnection<P>>;
  readonly #observers: Observers<P, TcpConnection<P>>;
  readonly #replies: TcpReplies<P>;
  readonly #server: ServerExchanges<P, TcpConnection<P>, TcpMessage>;
  readonly #intake: TcpIntake<P>;
  readonly #deadlines = new Deadlines<TcpConnection<P>>();

  /** @param random Makes tokens; towards an open network it must not be guessable. */
  constructor(random: Random, options: Partial<TcpEndpointOptions> = {}) {
    this.#layer = new TcpLayer({ ...DEFAULT_TCP_OPTIONS, ...options });
    this.#client = new ClientExchanges(this.#layer, random);
    this.#observers = new Observers(this.#layer);
    this.#replies = new TcpReplies(this.#layer);
    this.#server = new ServerExchanges(this.#layer, this.#observers, this.#replies);
    this.#intake = new TcpIntake(this.#layer, (connection, message, nowMs) =>
      this.#receive(connection, message, nowMs),
    );
  }

  get load(): TcpEndpointLoad {
    return {
      connections: this.#layer.size,
      exchanges: this.#client.size,
      serving: this.#server.servingCount,
      observers: this.#observers.size,
      heldBytes: this.#intake.heldBytes,
    };
  }

  get wakeAtMs(): number | undefined {
    return earlier(this.#client.wakeAtMs, this.#deadlines.earliestMs);
  }

  /** What bodies to and from this peer may be cut into. */
  blocksOf(peer: P): BlockLimits {
    return (this.#layer.find(peer) ?? { blocks: blocksWithin(BASE_CAPABILITIES, 0) }).blocks;
  }

  step(input: TcpEndpointInput<P>, nowMs: number): TcpEndpointOutput<P>[] {
    switch (input.kind) {
      case "request":
        this.#request(input, nowMs);
        break;
      case "ping":
        this.#ping(input.peer, input.exchange, nowMs);
        break;
      case "cancel":
        this.#client.cancel(input.exchange, nowMs);
        break;
      case "defer":
        break;
      case "respond":
        this.#server.respond(input.incoming, input, nowMs);
        this.#process((input.incoming as Serving<P, TcpConnection<P>>).state, nowMs);
        break;
      case "notify":
        this.#observers.notify(input.observer, input.response, true, nowMs);
        break;
      case "forget":
        this.#observers.forget(input.observer);
        break;
      case "wake":
        this.#client.wake(nowMs);
        this.#wakeConnections(nowMs);
        break;
      default:
        this.#stepConnection(input, nowMs);
    }
    return this.#layer.takeOutputs();
  }

  #stepConnection(
    input: Exclude<
      TcpEndpointInput<P>,
      { kind: "request" | "ping" | "cancel" | "defer" | "respond" | "notify" | "forget" | "wake" }
    >,
    nowMs: number,
  ): void {
    if (input.kind === "opened") {
      this.#open(input.peer, nowMs);
      return;
    }
    const connection = this.#layer.find(input.peer);
    if (connection === undefined) return;
    switch (input.kind) {
      case "bytes":
        connection.lastHeardAtMs = nowMs;
        connection.pingedAtMs = undefined;
        connection.decoder.push(input.bytes);
        this.#process(connection, nowMs);
        break;
      case "congested":
        connection.congestedSinceMs ??= nowMs;
        this.#schedule(connection);
        break;
      case "drained":
        this.#layer.drain(connection, nowMs);
        this.#process(connection, nowMs);
        break;
      case "closed":
        this.#forget(connection, nowMs);
        break;
      case "release":
        this.#layer.write(connection, encodeRelease());
        this.#disconnect(connection, "done", nowMs);
        break;
    }
  }

  #open(peer: P, nowMs: number): void {
    const { options } = this.#layer;
    if (this.#layer.size >= options.connections) {
      this.#layer.emit({ kind: "disconnect", peer, reason: "full" });
      return;
    }
    const connection = openConnection(peer, options, nowMs);
    this.#layer.add(connection);
    this.#layer.write(connection, encodeCsm({ maxMessageBytes: options.maxMessageBytes, isBlockwise: true }));
    this.#schedule(connection);
  }

  #request(input: RequestInput<P>, nowMs: number): void {
    const connection = this.#layer.find(input.peer);
    if (connection && !this.#layer.fits(connection, { ...input.request, token: input.token ?? ANY_TOKEN }))
      this.#layer.emit({ kind: "failed", exchange: input.exchange, reason: "tooLarge" });
    else this.#client.request(input, nowMs);
  }

  /** A Ping is an exchange like any other, with a Pong for its response. Some peers answer all without a token. */
  #ping(peer: P, exchange: number, nowMs: number): void {
    const request = createResponse(SIGNAL.ping);
    const responseTimeoutMs = this.#layer.options.pongTimeoutMs;
    const connection = this.#layer.find(peer);
    const token = connection && this.#client.isFree(connection, EMPTY) ? EMPTY : undefined;
    const input = { kind: "request", exchange, peer, request, confirmable: true, responseTimeoutMs, token } as const;
    this.#client.request(input, nowMs);
  }

  /** Reads on; also ends what the peer released once nothing is open. */
  #process(connection: TcpConnection<P>, nowMs: number): void {
    try {
      this.#intake.read(connection, nowMs);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.#abort(connection, { ...ABORT_OF[error.code], diagnosis: error.message, facts: error.facts }, nowMs);
    }
    if (!this.#layer.isReachable(connection)) return;
    if (connection.isReleased && connection.servingCount === 0 && !this.#client.hasOpen(connection))
      this.#disconnect(connection, "released", nowMs);
    else this.#schedule(connection);
  }

  #receive(connection: TcpConnection<P>, message: TcpMessage, nowMs: number): void {
    const { code, token, payload } = message;
    if (code === CODE.empty) return;
    if (!connection.isReady && code !== SIGNAL.csm) throw new PeerError("COAP_NO_CSM", "CSM expected");
    if (isSignalCode(code)) this.#signalled(connection, message, nowMs);
    else if (isRequestCode(code)) this.#server.accept(connection, message, nowMs);
    else if (isResponseCode(code)) {
      const options = acceptableOptions(message.options);
      if (typeof options === "number") this.#client.acceptUnusable(connection, token, nowMs);
      else this.#accept(connection, { code, token, options, payload }, nowMs);
    }
  }

  /** A response to nothing is ignored: its request was given up. */
  #accept(connection: TcpConnection<P>, { token, ...response }: TcpMessage, nowMs: number): void {
    this.#client.accept(connection, { token, messageId: 0, response, isPiggybacked: false }, nowMs);
  }

  /** Signaling messages with a code that is not known change nothing, unless they say that they must. @see RFC 8323 §5 */
  #signalled(connection: TcpConnection<P>, message: TcpMessage, nowMs: number): void {
    const { code, token, payload } = message;
    if (code === SIGNAL.csm) this.#settled(connection, message);
    else checkSignalOptions(message);
    if (code === SIGNAL.ping) this.#replies.pong(connection, message);
    else if (code === SIGNAL.pong) this.#accept(connection, { code, token, options: [], payload }, nowMs);
    else if (code === SIGNAL.release) connection.isReleased = true;
    else if (code === SIGNAL.abort) this.#disconnect(connection, "aborted", nowMs);
  }

  #settled(connection: TcpConnection<P>, csm: TcpMessage): void {
    connection.capabilities = applyCsm(connection.capabilities, csm);
    connection.blocks = blocksWithin(connection.capabilities, this.#layer.options.bertBytes);
    if (connection.isReady) return;
    connection.isReady = true;
    this.#layer.emit({ kind: "ready", peer: connection.peer });
  }

  #abort(connection: TcpConnection<P>, { reason = "malformed", diagnosis, facts }: Abort, nowMs: number): void {
    const option = facts?.["badCsmOption"];
    this.#layer.write(connection, encodeAbort(diagnosis, typeof option === "number" ? option : undefined));
    this.#disconnect(connection, reason, nowMs);
  }

  #disconnect(connection: TcpConnection<P>, reason: DisconnectReason, nowMs: number): void {
    this.#layer.emit({ kind: "disconnect", peer: connection.peer, reason });
    this.#forget(connection, nowMs);
  }

  #forget(connection: TcpConnection<P>, nowMs: number): void {
    this.#layer.delete(connection);
    this.#deadlines.delete(connection);
    this.#intake.forget(connection);
    this.#client.unreachable(connection, nowMs);
    this.#observers.unreachable(connection);
  }

  #schedule(connection: TcpConnection<P>): void {
    const dueAtMs = connectionDueAtMs(connection, this.#layer.options);
    // Later ones are found out when the earlier one comes: moving it with every message would cost more.
    if (dueAtMs >= connection.wakeAtMs) return;
    connection.wakeAtMs = dueAtMs;
    this.#deadlines.set(connection, dueAtMs);
  }

  #wakeConnections(nowMs: number): void {
    for (let due = this.#deadlines.popDue(nowMs); due !== undefined; due = this.#deadlines.popDue(nowMs)) {
      due.wakeAtMs = Number.POSITIVE_INFINITY;
      this.#check(due, nowMs);
      if (this.#layer.isReachable(due)) this.#schedule(due);
    }
  }

  #check(connection: TcpConnection<P>, nowMs: number): void {
    const verdict = judgeConnection(connection, this.#layer.options, nowMs);
    if (verdict === undefined) return;
    if (verdict === "ping") {
      connection.pingedAtMs = nowMs;
      this.#layer.write(connection, encodePing());
    } else if (verdict.diagnosis === undefined) this.#disconnect(connection, verdict.reason, nowMs);
    else this.#abort(connection, { ...verdict, diagnosis: verdict.diagnosis }, nowMs);
  }
}
