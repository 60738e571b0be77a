/** What an endpoint knows of each peer, kept only while something is going on or may still be repeated. */
import type { Random } from "../lib/core.ts";
import type { Dedup, Seen } from "./dedup.ts";
import type { Peer } from "./exchange.ts";
import type { PeerWork, TransmissionOwner, Turn } from "./exchange-layer.ts";
import { LinkedQueue, type QueueLinks } from "./linked-queue.ts";

/** Something of ours that the peer has yet to acknowledge, found by its Message ID. */
export interface Transmission<P extends Peer> {
  readonly state: PeerState<P>;
  readonly messageId: number;
  readonly datagram: Uint8Array;
  readonly owner: TransmissionOwner;
}

export interface PeerState<P extends Peer> extends PeerWork<P>, QueueLinks<PeerState<P>> {
  nextMessageId: number;
  lastUsedAtMs: number;
  readonly seen: Seen[];
  readonly transmissions: Map<number, Transmission<P>>;
  /** Turns that were begun and have not ended: at most NSTART. */
  activeTurns: number;
  readonly waiting: Turn[];
}

export interface PeerLimits {
  /** Peers remembered at once; the one that was silent longest is forgotten first. */
  readonly peers: number;
  /** How long a silent peer is remembered: EXCHANGE_LIFETIME. */
  readonly lifetimeMs: number;
}

/** Peers that fell silent within this time are forgotten in one go, so that 100,000 of them do not need as many wake-ups. */
const FORGET_TOGETHER_MS = 1_000;

export class PeerTable<P extends Peer> {
  readonly #states = new Map<string, PeerState<P>>();
  readonly #bySilence = new LinkedQueue<PeerState<P>>();
  readonly #limits: PeerLimits;
  readonly #dedup: Dedup;
  readonly #random: Random;

  constructor(limits: PeerLimits, dedup: Dedup, random: Random) {
    this.#limits = limits;
    this.#dedup = dedup;
    this.#random = random;
  }

  get size(): number {
    return this.#states.size;
  }

  /** When the most silent peer is to be forgotten. */
  get wakeAtMs(): number | undefined {
    const first = this.#bySilence.first;
    return first && first.lastUsedAtMs + this.#limits.lifetimeMs + FORGET_TOGETHER_MS;
  }

  find(key: string): PeerState<P> | undefined {
    return this.#states.get(key);
  }

  /** The state of a peer, made when there is none; counts as a sign of life. */
  touch(peer: P, nowMs: number): PeerState<P> {
    let state = this.#states.get(peer.key);
    if (state === undefined) {
      if (this.#states.size >= this.#limits.peers) this.#forgetMostSilent();
      state = newState(peer, Math.floor(this.#random() * 0x1_0000));
      this.#states.set(peer.key, state);
      this.#bySilence.append(state);
    } else this.#bySilence.moveToEnd(state);
    state.lastUsedAtMs = nowMs;
    return state;
  }

  /** Forgets the peers that have been silent for a lifetime. */
  expire(nowMs: number): void {
    for (let state = this.#bySilence.first; state !== undefined; state = this.#bySilence.first) {
      if (state.lastUsedAtMs + this.#limits.lifetimeMs > nowMs) return;
      if (state.busyCount > 0) {
        state.lastUsedAtMs = nowMs;
        this.#bySilence.moveToEnd(state);
      } else this.#forget(state);
    }
  }

  /** A busy peer at the front is passed over a few times at most, so that the search stays short. */
  #forgetMostSilent(): void {
    for (let tries = 0; tries < 8; tries += 1) {
      const state = this.#bySilence.first;
      if (state === undefined) return;
      if (state.busyCount === 0) {
        this.#forget(state);
        return;
      }
      this.#bySilence.moveToEnd(state);
    }
  }

  #forget(state: PeerState<P>): void {
    this.#dedup.clear(state.seen);
    this.#bySilence.remove(state);
    this.#states.delete(state.peer.key);
  }
}

/**
 * The next Message ID for this peer, not one that is under way. It recurs only after 65,535 others, which a slow link takes
 * longer for than EXCHANGE_LIFETIME; a fast one does not, and a bulk transfer there is not held back to 265 messages a second.
 *
 * @see RFC 7252 §4.4
 */
export function takeMessageId<P extends Peer>(state: PeerState<P>): number {
  let messageId = state.nextMessageId;
  while (state.transmissions.has(messageId)) messageId = (messageId + 1) & 0xffff;
  state.nextMessageId = (messageId + 1) & 0xffff;
  return messageId;
}

function newState<P extends Peer>(peer: P, nextMessageId: number): PeerState<P> {
  return {
    peer,
    nextMessageId,
    lastUsedAtMs: 0,
    busyCount: 0,
    servingCount: 0,
    seen: [],
    transmissions: new Map(),
    activeTurns: 0,
    waiting: [],
    before: undefined,
    after: undefined,
    isQueued: false,
  };
}
