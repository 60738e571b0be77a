/** A network between datagram cores in virtual time: it loses, repeats, delays and reorders, all from one seed. */
import type { EndpointInput, EndpointOutput } from "@airlift/protocol/coap/endpoint-types";
import type { Peer } from "@airlift/protocol/coap/exchange";
import type { Core, Random } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";

export interface LinkOptions {
  /** Share of datagrams that get lost, 0 … 1. */
  readonly loss: number;
  /** Share of datagrams that arrive twice, 0 … 1. */
  readonly duplication: number;
  /** Each datagram takes a time of its own between these two, so that a later one may overtake an earlier one. */
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export const CLEAN_LINK: LinkOptions = { loss: 0, duplication: 0, minDelayMs: 20, maxDelayMs: 20 };

/** One end: an endpoint and the application on it. */
export interface LinkNode {
  readonly peer: Peer;
  readonly core: Core<EndpointInput<Peer>, EndpointOutput<Peer>>;
  /** Performs what is not a datagram; `feed` it at once or later. */
  perform(output: EndpointOutput<Peer>, feed: (input: EndpointInput<Peer>) => void, nowMs: number): void;
}

/** What went over the link, for tests to look at. */
export interface LinkRecord {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly datagram: Uint8Array;
  readonly arrivals: number;
}

interface Flight {
  readonly to: LinkNode;
  readonly from: LinkNode;
  readonly datagram: Uint8Array;
}

export class Link {
  readonly records: LinkRecord[] = [];
  readonly #options: LinkOptions;
  readonly #random: Random;
  readonly #nodes = new Map<string, LinkNode>();
  readonly #flights = new Deadlines<Flight>();
  #nowMs = 0;

  constructor(options: LinkOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  add(node: LinkNode): void {
    this.#nodes.set(node.peer.key, node);
  }

  /** Gives an input to a node now, and carries out what follows. */
  feed(node: LinkNode, input: EndpointInput<Peer>): void {
    for (const output of node.core.step(input, this.#nowMs)) {
      if (output.kind === "send") this.#transmit(node, output.peer, output.datagram);
      else node.perform(output, (next) => this.feed(node, next), this.#nowMs);
    }
  }

  /**
   * Lets time pass until `untilMs`, or until nothing more is going to happen.
   *
   * @throws {Error} When more than `limit` things happened before.
   */
  run(untilMs: number, limit = 1_000_000): void {
    for (let events = 0; ; events += 1) {
      const next = this.#nextNode();
      const flightAtMs = this.#flights.earliestMs ?? Number.POSITIVE_INFINITY;
      const atMs = Math.min(flightAtMs, next?.core.wakeAtMs ?? Number.POSITIVE_INFINITY);
      if (atMs > untilMs) return;
      if (events === limit) throw new Error(`link still busy after ${limit} events`);
      this.#nowMs = Math.max(this.#nowMs, atMs);
      if (flightAtMs <= atMs) this.#land();
      else if (next) this.feed(next, { kind: "wake" });
    }
  }

  #nextNode(): LinkNode | undefined {
    let next: LinkNode | undefined;
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const node of this.#nodes.values()) {
      const { wakeAtMs } = node.core;
      if (wakeAtMs === undefined || wakeAtMs >= earliestMs) continue;
      earliestMs = wakeAtMs;
      next = node;
    }
    return next;
  }

  #land(): void {
    const flight = this.#flights.popDue(this.#nowMs);
    if (flight) this.feed(flight.to, { kind: "datagram", peer: flight.from.peer, datagram: flight.datagram });
  }

  #transmit(from: LinkNode, peer: Peer, datagram: Uint8Array): void {
    const { loss, duplication, minDelayMs, maxDelayMs } = this.#options;
    const to = this.#nodes.get(peer.key);
    const arrivals = to === undefined || this.#random() < loss ? 0 : this.#random() < duplication ? 2 : 1;
    this.records.push({ atMs: this.#nowMs, from: from.peer.key, to: peer.key, datagram, arrivals });
    for (let i = 0; to && i < arrivals; i += 1) {
      const delayMs = minDelayMs + (maxDelayMs - minDelayMs) * this.#random();
      this.#flights.set({ to, from, datagram: datagram.slice() }, this.#nowMs + delayMs);
    }
  }
}
