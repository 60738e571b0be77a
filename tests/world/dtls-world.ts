/** Two or more DTLS endpoints and the lossy link between them, in virtual time. */
import { DtlsEndpoint } from "@airlift/protocol/dtls/endpoint";
import type { DtlsInput, DtlsOptions, DtlsOutput } from "@airlift/protocol/dtls/endpoint-types";
import type { Found, Wanted } from "@airlift/protocol/dtls/handshake-types";
import { explain } from "@airlift/protocol/dtls/reasons";
import type { DtlsAddress, DtlsSession } from "@airlift/protocol/dtls/session";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { Random } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { dtlsCrypto } from "@airlift/runtime/dtls-crypto";
import { CLEAN_LINK, type LinkOptions } from "@airlift/sim/link";
import { seeded } from "@airlift/sim/world";

export const IDENTITY = "device-7";
export const KEY = encodeUtf8("sixteen octets!!");

export const addressOf = (name: string, port = 1): DtlsAddress => ({ key: `${name} ${port}`, address: name });

/** What a handshake's question is answered with, now or `afterMs`. */
export type Lookup = (wanted: Wanted) => Found | { readonly found: Found; readonly afterMs: number };

export const knowsDevice: Lookup = (wanted) =>
  wanted.kind === "psk"
    ? { kind: "psk", key: wanted.identity === IDENTITY ? KEY : undefined }
    : { kind: "rpk", name: undefined };

/** One end. Its address may change, as behind a gateway. */
export class WorldNode {
  address: DtlsAddress;
  readonly core: DtlsEndpoint<DtlsAddress>;
  readonly lookup: Lookup;
  readonly log: Exclude<DtlsOutput<DtlsAddress>, { kind: "send" }>[] = [];

  constructor(name: string, options: Partial<DtlsOptions>, lookup: Lookup = knowsDevice) {
    this.address = addressOf(name);
    this.core = new DtlsEndpoint(dtlsCrypto, options);
    this.lookup = lookup;
  }

  /** The sessions that were opened, in order. */
  get opened(): DtlsSession<DtlsAddress>[] {
    return this.log.flatMap((output) => (output.kind === "opened" ? [output.session] : []));
  }

  get session(): DtlsSession<DtlsAddress> {
    const session = this.opened.at(-1);
    if (session === undefined) throw new Error(`no session: ${this.sentences.join("; ")}`);
    return session;
  }

  /** Why handshakes failed and sessions ended, as an operator reads it. */
  get sentences(): string[] {
    return this.log.flatMap((output) =>
      output.kind === "failed" || output.kind === "closed" ? [explain(output.reason)] : [],
    );
  }

  get received(): string[] {
    return this.log.flatMap((output) =>
      output.kind === "received" ? [Buffer.from(output.bytes).toString("latin1")] : [],
    );
  }
}

/** A datagram on its way. */
export interface Flight {
  readonly from: DtlsAddress;
  readonly to: DtlsAddress;
  readonly datagram: Uint8Array;
}

type Event = Flight | { readonly node: WorldNode; readonly input: DtlsInput<DtlsAddress> };

export class DtlsWorld {
  /** Every datagram that was sent. */
  readonly flights: (Flight & { readonly atMs: number })[] = [];
  /** Loses or changes what is sent; `undefined` = lost. */
  tamper: (flight: Flight, index: number) => Uint8Array | undefined = ({ datagram }) => datagram;
  link: LinkOptions;
  nowMs = 0;
  readonly #nodes: WorldNode[];
  readonly #random: Random;
  readonly #events = new Deadlines<Event>();

  constructor(nodes: WorldNode[], link: LinkOptions = CLEAN_LINK, seed = 1) {
    this.#nodes = nodes;
    this.link = link;
    this.#random = seeded(seed);
  }

  feed(node: WorldNode, input: DtlsInput<DtlsAddress>): void {
    for (const output of node.core.step(input, this.nowMs)) {
      if (output.kind === "send") {
        this.#transmit({ from: node.address, to: output.address, datagram: output.datagram });
        continue;
      }
      node.log.push(output);
      if (output.kind !== "ask") continue;
      const answer = node.lookup(output.wanted);
      const [found, afterMs] = "found" in answer ? [answer.found, answer.afterMs] : [answer, 0];
      const next = { kind: "found", handshake: output.handshake, found } as const;
      if (afterMs === 0) this.feed(node, next);
      else this.#events.set({ node, input: next }, this.nowMs + afterMs);
    }
  }

  /** Puts a datagram of anybody's making on the link. */
  inject(flight: Flight): void {
    this.#events.set(flight, this.nowMs + 1);
  }

  /** Lets time pass until `untilMs`, or until nothing more is going to happen before. */
  run(untilMs = 600_000): void {
    for (let events = 0; ; events += 1) {
      if (events > 100_000) throw new Error("the world does not come to rest");
      const node = this.#nextNode();
      const wakeMs = node?.core.wakeAtMs ?? Number.POSITIVE_INFINITY;
      const eventMs = this.#events.earliestMs ?? Number.POSITIVE_INFINITY;
      const atMs = Math.min(wakeMs, eventMs);
      if (atMs > untilMs) return;
      this.nowMs = Math.max(this.nowMs, atMs);
      if (eventMs <= wakeMs) this.#happen();
      else if (node) this.feed(node, { kind: "wake" });
    }
  }

  /** Lets time pass until `untilMs`, whether anything happens or not. */
  wait(untilMs: number): void {
    this.run(untilMs);
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #nextNode(): WorldNode | undefined {
    const at = ({ core }: WorldNode): number => core.wakeAtMs ?? Number.POSITIVE_INFINITY;
    return this.#nodes.toSorted((a, b) => at(a) - at(b))[0];
  }

  #happen(): void {
    const event = this.#events.popDue(this.nowMs);
    if (event === undefined) return;
    if ("node" in event) {
      this.feed(event.node, event.input);
      return;
    }
    const node = this.#nodes.find(({ address }) => address.key === event.to.key);
    if (node) this.feed(node, { kind: "datagram", address: event.from, datagram: event.datagram.slice() });
  }

  #transmit(flight: Flight): void {
    const index = this.flights.push({ ...flight, atMs: this.nowMs }) - 1;
    const datagram = this.tamper(flight, index);
    if (datagram === undefined) return;
    const { loss, duplication, minDelayMs, maxDelayMs } = this.link;
    const arrivals = this.#random() < loss ? 0 : this.#random() < duplication ? 2 : 1;
    for (let i = 0; i < arrivals; i += 1) {
      const delayMs = minDelayMs + (maxDelayMs - minDelayMs) * this.#random();
      this.#events.set({ ...flight, datagram }, this.nowMs + delayMs);
    }
  }
}

export const PSK_SERVER = { hasPsk: true, clientKinds: [], anchors: [] } as const;
export const PSK_CLIENT = { psk: { identity: IDENTITY, key: KEY }, anchors: [], serverKeys: [] } as const;

/** A server that knows one device's key, and that device. */
export function pskPair(
  options: {
    readonly server?: Partial<DtlsOptions>;
    readonly client?: Partial<DtlsOptions>;
    readonly lookup?: Lookup;
    readonly link?: LinkOptions;
    readonly seed?: number;
  } = {},
): { world: DtlsWorld; server: WorldNode; client: WorldNode } {
  const server = new WorldNode("server", { server: PSK_SERVER, ...options.server }, options.lookup);
  const client = new WorldNode("client", { connectionIds: "send", ...options.client });
  return { world: new DtlsWorld([server, client], options.link, options.seed), server, client };
}

/** The client begins a session with its pre-shared key. */
export function connect(world: DtlsWorld, client: WorldNode, server: WorldNode, credentials = {}): void {
  world.feed(client, { kind: "connect", address: server.address, credentials: { ...PSK_CLIENT, ...credentials } });
}

/** One datagram of application data. */
export function say(world: DtlsWorld, node: WorldNode, text: string): void {
  world.feed(node, { kind: "send", session: node.session, bytes: encodeUtf8(text) });
}
