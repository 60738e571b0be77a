/** Those who observe us: what each has to be told, and when it stops (RFC 7641 §4). */
import { equalBytes } from "../lib/bytes.ts";
import { isSuccessCode } from "./codes.ts";
import type { ObservationEnd } from "./endpoint-types.ts";
import type { CoapResponse, Peer } from "./exchange.ts";
import type { ExchangeLayer, PeerWork, Turn } from "./exchange-layer.ts";
import { OBSERVE_MODULUS } from "./observe.ts";
import { OPTION, uintOption } from "./options.ts";

/** One observer of one resource. Registered by answering its request with it. */
export interface Observer<P extends Peer> {
  readonly peer: P;
  readonly token: Uint8Array;
  /** For the owner's use: what is observed. */
  readonly subject: unknown;
}

interface Entry<P extends Peer, S extends PeerWork<P>> {
  readonly observer: Observer<P>;
  readonly state: S;
  sequence: number;
  lastHeardAtMs: number;
  /** Message ID of the latest notification that is not retransmitted. */
  messageId: number | undefined;
  /** A confirmable notification waits for its turn or for its acknowledgement. */
  isBusy: boolean;
  /** In the queue of this peer. One that has a newer state waits anew: notifications leave in the order of their changes. */
  turn: Turn | undefined;
  /** The newest state, not yet sent; it replaces any that was waiting. @see RFC 7641 §4.5.2 */
  next: CoapResponse | undefined;
}

export class Observers<P extends Peer, S extends PeerWork<P>> {
  readonly #layer: ExchangeLayer<P, S>;
  readonly #entries = new Map<Observer<P>, Entry<P, S>>();
  readonly #byPeer = new Map<S, Entry<P, S>[]>();

  constructor(layer: ExchangeLayer<P, S>) {
    this.#layer = layer;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Registers an observer and gives the option for the first notification, or `undefined` when there is no room for one
   * more: the response then goes out as if nothing had been asked (RFC 7641 §4.1).
   */
  add(state: S, observer: Observer<P>, nowMs: number): number | undefined {
    this.end(state, observer.token, "replaced");
    const ofPeer = this.#byPeer.get(state) ?? [];
    const { observers, observersPerPeer } = this.#layer.options;
    const isFull = this.#entries.size >= observers || ofPeer.length >= observersPerPeer;
    if (isFull || !this.#layer.isReachable(state)) {
      this.#layer.emit({ kind: "observationEnded", observer, reason: isFull ? "refused" : "unreachable" });
      return undefined;
    }
    const entry: Entry<P, S> = {
      observer,
      state,
      sequence: 1,
      lastHeardAtMs: nowMs,
      messageId: undefined,
      isBusy: false,
      turn: undefined,
      next: undefined,
    };
    this.#entries.set(observer, entry);
    ofPeer.push(entry);
    this.#byPeer.set(state, ofPeer);
    state.busyCount += 1;
    return entry.sequence;
  }

  /** Sends a new state, or keeps it until the confirmable one on its way is settled. An error code ends the observation. */
  notify(observer: Observer<P>, response: CoapResponse, isConfirmable: boolean, nowMs: number): void {
    const entry = this.#entries.get(observer);
    if (entry === undefined) return;
    const mustConfirm = isConfirmable || nowMs - entry.lastHeardAtMs >= this.#layer.options.observerCheckMs;
    const waits = entry.turn !== undefined;
    if (entry.isBusy && !waits) entry.next = response;
    else if (mustConfirm || waits || !this.#layer.sendOnce) this.#confirm(entry, response, nowMs);
    else {
      const content = this.#content(entry, response);
      entry.messageId = this.#layer.sendOnce(entry.state, content).messageId;
      if (!isSuccessCode(response.code)) this.#remove(entry);
    }
  }

  /** Ends the observation of this peer and token, if there is one. */
  end(state: S, token: Uint8Array, reason: ObservationEnd): void {
    const entry = this.#byPeer.get(state)?.find(({ observer }) => equalBytes(observer.token, token));
    if (entry) this.#end(entry, reason);
  }

  forget(observer: Observer<P>): void {
    const entry = this.#entries.get(observer);
    if (entry) this.#remove(entry);
  }

  /** A Reset for a notification that was not confirmable. @see RFC 7641 §4.2 */
  reject(state: S, messageId: number): void {
    const entry = this.#byPeer.get(state)?.find((candidate) => candidate.messageId === messageId);
    if (entry) this.#end(entry, "rejected");
  }

  unreachable(state: S): void {
    for (const entry of [...(this.#byPeer.get(state) ?? [])]) this.#end(entry, "unreachable");
  }

  #confirm(entry: Entry<P, S>, response: CoapResponse, nowMs: number): void {
    entry.isBusy = true;
    entry.next = response;
    if (entry.turn) this.#layer.leaveQueue(entry.state, entry.turn);
    entry.turn = { begin: (beginMs) => this.#begin(entry, beginMs) };
    this.#layer.queueTurn(entry.state, entry.turn, nowMs);
  }

  #begin(entry: Entry<P, S>, nowMs: number): void {
    const response = entry.next;
    entry.turn = undefined;
    if (response === undefined || !this.#entries.has(entry.observer)) {
      this.#layer.endTurn(entry.state, nowMs);
      return;
    }
    entry.next = undefined;
    const content = this.#content(entry, response);
    this.#layer.sendReliably(entry.state, content, {
      nowMs,
      owner: {
        onAcknowledged: (atMs) => this.#acknowledged(entry, atMs),
        onRejected: (atMs) => this.#settled(entry, "rejected", atMs),
        onNoAnswer: (atMs) => this.#settled(entry, "noAnswer", atMs),
        onRetransmitted: () => {},
      },
    });
    if (!isSuccessCode(response.code)) this.#remove(entry);
  }

  #acknowledged(entry: Entry<P, S>, nowMs: number): void {
    entry.isBusy = false;
    entry.lastHeardAtMs = nowMs;
    this.#layer.endTurn(entry.state, nowMs);
    if (entry.next && this.#entries.has(entry.observer)) this.#confirm(entry, entry.next, nowMs);
  }

  #settled(entry: Entry<P, S>, reason: ObservationEnd, nowMs: number): void {
    this.#end(entry, reason);
    this.#layer.endTurn(entry.state, nowMs);
  }

  #content(entry: Entry<P, S>, response: CoapResponse) {
    entry.sequence = (entry.sequence + 1) % OBSERVE_MODULUS;
    const options = isSuccessCode(response.code)
      ? [uintOption(OPTION.observe, entry.sequence), ...response.options]
      : response.options;
    return { code: response.code, options, payload: response.payload, token: entry.observer.token };
  }

  #end(entry: Entry<P, S>, reason: ObservationEnd): void {
    if (this.#remove(entry)) this.#layer.emit({ kind: "observationEnded", observer: entry.observer, reason });
  }

  #remove(entry: Entry<P, S>): boolean {
    if (!this.#entries.delete(entry.observer)) return false;
    const ofPeer = this.#byPeer.get(entry.state) ?? [];
    if (ofPeer.length <= 1) this.#byPeer.delete(entry.state);
    else ofPeer.splice(ofPeer.indexOf(entry), 1);
    entry.state.busyCount -= 1;
    entry.next = undefined;
    return true;
  }
}
