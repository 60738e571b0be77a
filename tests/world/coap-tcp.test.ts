import assert from "node:assert/strict";
import { test } from "node:test";
import { answerBlock } from "@airlift/protocol/coap/answer-block";
import { BlockDownload, type DownloadOutput } from "@airlift/protocol/coap/block-download";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import { uriPath } from "@airlift/protocol/coap/options";
import { TcpEndpoint } from "@airlift/protocol/coap/tcp-endpoint";
import type {
  TcpEndpointInput,
  TcpEndpointOptions,
  TcpEndpointOutput,
} from "@airlift/protocol/coap/tcp-endpoint-types";
import { concat } from "@airlift/protocol/lib/bytes";
import type { Random } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { seeded } from "@airlift/sim/world";

type Perform = (output: TcpEndpointOutput<Peer>, feed: (input: TcpEndpointInput<Peer>) => void, nowMs: number) => void;

interface End {
  readonly core: TcpEndpoint<Peer>;
  readonly perform: Perform;
  /** What this end has written and the other has not read. */
  readonly unread: Uint8Array[];
  isPaused: boolean;
  isCongested: boolean;
}

const PEER: Peer = { key: "other end" };
const WINDOW_BYTES = 20_000;

/** One connection in virtual time: it delays, cuts the stream anywhere, holds a window, and can break. */
class StreamLink {
  readonly ends: readonly [End, End];
  readonly #random: Random;
  readonly #due: (() => void)[] = [];
  #isPerforming = false;
  readonly #readings = new Deadlines<End>();
  /** The most that waited in one direction. */
  peakUnreadBytes = 0;
  nowMs = 0;
  isBroken = false;

  constructor(
    cores: readonly [TcpEndpoint<Peer>, TcpEndpoint<Peer>],
    performs: readonly [Perform, Perform],
    random: Random,
  ) {
    this.#random = random;
    const end = (i: 0 | 1): End => ({
      core: cores[i],
      perform: performs[i],
      unread: [],
      isPaused: false,
      isCongested: false,
    });
    this.ends = [end(0), end(1)];
    for (const each of this.ends) this.feed(each, { kind: "opened", peer: PEER });
  }

  /** What an output causes waits for its turn, as the order of outputs means something. */
  feed(end: End, input: TcpEndpointInput<Peer>): void {
    for (const output of end.core.step(input, this.nowMs)) this.#due.push(() => this.#perform(end, output));
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    for (let next = this.#due.shift(); next; next = this.#due.shift()) next();
    this.#isPerforming = false;
  }

  break(): void {
    if (this.isBroken) return;
    this.isBroken = true;
    for (const end of this.ends) this.feed(end, { kind: "closed", peer: PEER });
  }

  run(untilMs: number, limit = 200_000): void {
    for (let events = 0; ; events += 1) {
      const [a, b] = this.ends;
      const wakeAtMs = Math.min(a.core.wakeAtMs ?? Infinity, b.core.wakeAtMs ?? Infinity);
      const atMs = Math.min(this.#readings.earliestMs ?? Infinity, wakeAtMs);
      if (atMs > untilMs) return;
      if (events === limit) throw new Error("the link does not come to rest");
      this.nowMs = Math.max(this.nowMs, atMs);
      const reader = this.#readings.popDue(this.nowMs);
      if (reader) this.#read(reader);
      else for (const end of this.ends) this.feed(end, { kind: "wake" });
    }
  }

  #perform(end: End, output: TcpEndpointOutput<Peer>): void {
    if (output.kind === "write") this.#write(end, output.bytes);
    else if (output.kind === "pause") end.isPaused = true;
    else if (output.kind === "resume") this.#resume(end);
    else if (output.kind === "disconnect") this.break();
    else end.perform(output, (next) => this.feed(end, next), this.nowMs);
  }

  #write(end: End, bytes: Uint8Array): void {
    if (this.isBroken) return;
    end.unread.push(bytes);
    const unreadBytes = sum(end.unread);
    this.peakUnreadBytes = Math.max(this.peakUnreadBytes, unreadBytes);
    this.#readLater(this.#otherThan(end));
    if (unreadBytes <= WINDOW_BYTES || end.isCongested) return;
    end.isCongested = true;
    this.feed(end, { kind: "congested", peer: PEER });
  }

  #read(reader: End): void {
    const writer = this.#otherThan(reader);
    if (this.isBroken || reader.isPaused || writer.unread.length === 0) return;
    const all = concat(writer.unread);
    const size = Math.min(all.length, 1 + Math.floor(this.#random() ** 3 * 30_000));
    writer.unread.splice(0, writer.unread.length, ...(size < all.length ? [all.subarray(size)] : []));
    this.#readLater(reader);
    this.feed(reader, { kind: "bytes", peer: PEER, bytes: all.slice(0, size) });
    if (!writer.isCongested || sum(writer.unread) > WINDOW_BYTES / 2) return;
    writer.isCongested = false;
    this.feed(writer, { kind: "drained", peer: PEER });
  }

  #resume(end: End): void {
    end.isPaused = false;
    this.#readLater(end);
  }

  #readLater(reader: End): void {
    if (this.#otherThan(reader).unread.length > 0)
      this.#readings.set(reader, this.nowMs + 1 + Math.floor(this.#random() * 200));
  }

  #otherThan(end: End): End {
    return this.ends[end === this.ends[0] ? 1 : 0];
  }
}

const sum = (parts: readonly Uint8Array[]): number => parts.reduce((total, part) => total + part.length, 0);
const BODY = Uint8Array.from({ length: 150_000 }, (_, i) => (i * 31) ^ (i >> 7));
const HOUR_MS = 3_600_000;

/** Answers `/fw` with the body, and anything else with what was sent, some of it late and in another order. */
function server(random: Random): Perform {
  const late: TcpEndpointInput<Peer>[] = [];
  return (output, feed) => {
    if (output.kind !== "request") return;
    const { incoming } = output;
    const { request, blocks } = incoming;
    if (uriPath(request.options)[0] === "fw") {
      const part = answerBlock(request, BODY.length, blocks);
      const payload = part ? BODY.subarray(part.offset, part.offset + part.length) : BODY;
      feed({ kind: "respond", incoming, response: createResponse(CODE.content, payload, part?.options) });
      return;
    }
    late.push({ kind: "respond", incoming, response: createResponse(CODE.changed, request.payload) });
    while (late.length > 0 && (late.length > 3 || random() < 0.5)) {
      const [next] = late.splice(Math.floor(random() * late.length), 1);
      if (next) feed(next);
    }
  };
}

const OPTIONS: Partial<TcpEndpointOptions> = { servingPerPeer: 4 };

test("RFC 8323: however slow and cut the stream is, each request gets its own answer and a body arrives whole (150 seeds)", () => {
  for (let seed = 0; seed < 150; seed += 1) {
    const answers = new Map<number, number>();
    const parts: Uint8Array[] = [];
    let isFinished = false;
    const cores = [
      new TcpEndpoint<Peer>(seeded(seed), OPTIONS),
      new TcpEndpoint<Peer>(seeded(seed + 1), OPTIONS),
    ] as const;
    let download: BlockDownload | undefined;
    const act = (outputs: DownloadOutput[]): void => {
      for (const output of outputs) {
        if (output.kind === "request")
          link.feed(link.ends[0], {
            kind: "request",
            exchange: 0,
            peer: PEER,
            request: output.request,
            confirmable: true,
          });
        else if (output.kind === "data") {
          parts.push(output.bytes);
          act(download?.step({ kind: "taken" }, 0) ?? []);
        } else if (output.kind === "finished") isFinished = true;
        else if (output.kind === "failed") assert.fail(`seed ${seed}: ${output.error.message}`);
      }
    };
    const client: Perform = (output) => {
      if (output.kind === "ready") {
        download = new BlockDownload(createRequest("get", "/fw"), { limits: cores[0].blocksOf(PEER) });
        act(download.step({ kind: "start" }, 0));
        for (let exchange = 1; exchange <= 30; exchange += 1) {
          const payload = new Uint8Array(exchange * 40).fill(exchange);
          const request = createRequest("post", "/echo", { payload });
          link.feed(link.ends[0], { kind: "request", exchange, peer: PEER, request, confirmable: true });
        }
      } else if (output.kind === "response") {
        if (output.exchange === 0) act(download?.step({ kind: "response", response: output.response }, 0) ?? []);
        else answers.set(output.exchange, output.response.payload[0] ?? 0);
      }
    };
    const link: StreamLink = new StreamLink(cores, [client, server(seeded(seed + 2))], seeded(seed + 3));
    link.run(600_000);
    assert.ok(isFinished, `seed ${seed}: the body is not there`);
    assert.deepEqual(concat(parts), BODY, `seed ${seed}`);
    for (const [exchange, first] of answers) assert.equal(first, exchange, `seed ${seed}`);
    // The last few may wait in the server for company.
    assert.ok(answers.size >= 27, `seed ${seed}: ${answers.size} answers`);
    const bound = WINDOW_BYTES + (OPTIONS.servingPerPeer ?? 0) * 66_000;
    assert.ok(link.peakUnreadBytes <= bound, `seed ${seed}: ${link.peakUnreadBytes} octets waited`);
    assert.equal(link.isBroken, false, `seed ${seed}`);
  }
});

test("a connection that breaks at any moment fails what is open, once, and leaves nothing behind (150 seeds)", () => {
  for (let seed = 0; seed < 150; seed += 1) {
    const random = seeded(seed);
    const outcomes = new Map<number, number>();
    const cores = [
      new TcpEndpoint<Peer>(seeded(seed), OPTIONS),
      new TcpEndpoint<Peer>(seeded(seed + 1), OPTIONS),
    ] as const;
    const client: Perform = (output) => {
      if (output.kind === "response" || output.kind === "failed")
        outcomes.set(output.exchange, (outcomes.get(output.exchange) ?? 0) + 1);
    };
    const link = new StreamLink(cores, [client, server(seeded(seed + 2))], seeded(seed + 3));
    for (let exchange = 1; exchange <= 20; exchange += 1) {
      const request = createRequest("post", "/echo", { payload: new Uint8Array(900) });
      link.feed(link.ends[0], { kind: "request", exchange, peer: PEER, request, confirmable: true });
    }
    link.run(Math.floor(random() * 3_000));
    link.break();
    link.run(HOUR_MS);
    assert.equal(outcomes.size, 20, `seed ${seed}`);
    assert.ok(
      [...outcomes.values()].every((count) => count === 1),
      `seed ${seed}`,
    );
    const [{ serving: _1, ...client0 }, { serving: _2, ...server0 }] = cores.map(({ load }) => load) as [
      TcpEndpoint<Peer>["load"],
      TcpEndpoint<Peer>["load"],
    ];
    const nothing = { connections: 0, exchanges: 0, observers: 0, heldBytes: 0 };
    assert.deepEqual([client0, server0], [nothing, nothing], `seed ${seed}`);
    assert.deepEqual(
      cores.map(({ wakeAtMs }) => wakeAtMs),
      [undefined, undefined],
      `seed ${seed}`,
    );
  }
});

test("a quiet connection lives for days by its Pings, and its ends sleep in between", () => {
  const cores = [new TcpEndpoint<Peer>(seeded(1)), new TcpEndpoint<Peer>(seeded(2))] as const;
  const link = new StreamLink(cores, [() => {}, () => {}], seeded(3));
  link.run(72 * HOUR_MS, 5_000);
  assert.equal(link.isBroken, false);
  assert.ok(link.nowMs > 71 * HOUR_MS);
});
