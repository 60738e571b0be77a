/** Asking a peer for a sign of life: an Empty confirmable message, that it answers with a Reset (RFC 7252 §4.3). */
import { EMPTY } from "../lib/bytes.ts";
import { CODE } from "./codes.ts";
import type { ExchangeFailure } from "./endpoint-types.ts";
import { createResponse, type Peer } from "./exchange.ts";
import type { MessageLayer } from "./message-layer.ts";

const PING = { ...createResponse(CODE.empty), token: EMPTY };

/** Sends a ping when the peer's turn comes; `pong` or `failed` comes out. */
export function ping<P extends Peer>(layer: MessageLayer<P>, peer: P, exchange: number, nowMs: number): void {
  const state = layer.peers.touch(peer, nowMs);
  if (state.waiting.length >= layer.options.exchangesPerPeer) {
    layer.emit({ kind: "failed", exchange, reason: "overloaded" });
    return;
  }
  const end = (atMs: number, reason?: ExchangeFailure): void => {
    layer.emit(reason ? { kind: "failed", exchange, reason } : { kind: "pong", exchange });
    layer.endTurn(state, atMs);
  };
  const owner = {
    onAcknowledged: end,
    onRejected: end,
    onNoAnswer: (atMs: number) => end(atMs, "noAnswer"),
    onRetransmitted: (retransmissionCount: number) =>
      layer.emit({ kind: "retransmitted", exchange, retransmissionCount }),
  };
  layer.queueTurn(
    state,
    { begin: (atMs) => void layer.sendReliably(state, PING, { owner, exchange, nowMs: atMs }) },
    nowMs,
  );
}
