import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, decodeUtf8, EMPTY, encodeUtf8 } from "../lib/bytes.ts";
import { CODE, METHOD } from "./codes.ts";
import type { IncomingRequest } from "./endpoint-types.ts";
import { createRequest, createResponse, type Peer } from "./exchange.ts";
import type { Observer } from "./observers.ts";
import { OPTION, pathOptions, uintOption } from "./options.ts";
import { encodeCsm, encodePong, SIGNAL, SIGNAL_OPTION } from "./signals.ts";
import { TcpDecoder } from "./tcp-decoder.ts";
import { TcpEndpoint } from "./tcp-endpoint.ts";
import type { TcpEndpointInput, TcpEndpointOptions, TcpEndpointOutput } from "./tcp-endpoint-types.ts";
import { encodeTcpMessage, type TcpMessage } from "./tcp-message.ts";

const PEER: Peer = { key: "peer" };
const CSM = encodeCsm({ maxMessageBytes: 70_000, isBlockwise: true });

/** An endpoint with one connection, whose other end is the test. */
class Run {
  readonly core: TcpEndpoint<Peer>;
  readonly #theirs = new TcpDecoder(1_000_000);
  readonly incoming: IncomingRequest<Peer>[] = [];
  readonly others: TcpEndpointOutput<Peer>[] = [];
  readonly written: TcpMessage[] = [];
  nowMs = 0;

  constructor(options: Partial<TcpEndpointOptions> = {}, csm: Uint8Array = CSM) {
    this.core = new TcpEndpoint<Peer>(() => 0.5, options);
    this.feed({ kind: "opened", peer: PEER });
    if (csm.length > 0) this.bytes(csm);
  }

  feed(input: TcpEndpointInput<Peer>): void {
    for (const output of this.core.step(input, this.nowMs)) {
      if (output.kind === "write") {
        this.#theirs.push(output.bytes);
        for (let next = this.#theirs.next(); next; next = this.#theirs.next()) this.written.push(next);
      } else if (output.kind === "request") this.incoming.push(output.incoming);
      else this.others.push(output);
    }
  }

  bytes(...parts: Uint8Array[]): void {
    this.feed({ kind: "bytes", peer: PEER, bytes: concat(parts) });
  }

  message(changes: Partial<TcpMessage>): void {
    this.bytes(encodeTcpMessage({ code: METHOD.get, token: EMPTY, options: [], payload: EMPTY, ...changes }));
  }

  get last(): TcpMessage | undefined {
    return this.written.at(-1);
  }

  get kinds(): string[] {
    return this.others.map(({ kind }) => kind);
  }

  get disconnected(): string | undefined {
    const last = this.others.findLast((output) => output.kind === "disconnect");
    return last?.kind === "disconnect" ? last.reason : undefined;
  }

  /** Answers the n-th request. */
  answer(place: number, text = ""): void {
    const incoming = this.incoming[place] ?? assert.fail(`no request ${place}`);
    this.feed({ kind: "respond", incoming, response: createResponse(CODE.content, encodeUtf8(text)) });
  }

  request(exchange: number, payload: Uint8Array = EMPTY): void {
    const request = createRequest("post", "/x", { payload });
    this.feed({ kind: "request", exchange, peer: PEER, request, confirmable: true });
  }

  wake(): void {
    this.nowMs = this.core.wakeAtMs ?? assert.fail("nothing is due");
    this.feed({ kind: "wake" });
  }
}

const get = (token: number, path = "/a"): Uint8Array =>
  encodeTcpMessage({ code: METHOD.get, token: Uint8Array.of(token), options: pathOptions(path), payload: EMPTY });

test("RFC 8323 §5.3: the first message of each side is a CSM; anything else aborts the connection", () => {
  const run = new Run({}, EMPTY);
  assert.deepEqual([run.written.length, run.last?.code], [1, SIGNAL.csm]);
  assert.deepEqual(run.kinds, []);
  run.bytes(CSM);
  assert.deepEqual(run.kinds, ["ready"]);
  const rude = new Run({}, EMPTY);
  rude.bytes(get(1));
  assert.deepEqual([rude.last?.code, rude.disconnected, rude.incoming.length], [SIGNAL.abort, "noCsm", 0]);
  const slow = new Run({ csmTimeoutMs: 500 }, EMPTY);
  slow.wake();
  assert.deepEqual([slow.nowMs, slow.last?.code, slow.disconnected], [500, SIGNAL.abort, "noCsm"]);
});

test("§5.3: an unknown critical option in a CSM aborts with Bad-CSM-Option", () => {
  const run = new Run({}, EMPTY);
  run.message({ code: SIGNAL.csm, options: [uintOption(7, 1)] });
  assert.deepEqual(run.last?.options, [uintOption(SIGNAL_OPTION.badCsmOption, 7)]);
  assert.equal(run.disconnected, "malformed");
});

test("§5.3.1: a request above the peer's Max-Message-Size is not sent, a response above it becomes 5.00", () => {
  const run = new Run({}, encodeCsm({ maxMessageBytes: 100, isBlockwise: false }));
  run.request(1, new Uint8Array(90));
  const failed = run.others.at(-1);
  assert.equal(failed?.kind === "failed" && failed.reason, "tooLarge");
  run.bytes(get(1));
  run.answer(0, "x".repeat(100));
  assert.equal(run.last?.code, CODE.internalServerError);
});

test("§5.3.1, §5.6: a message above our own size aborts, with a reason in words", () => {
  const run = new Run({ maxMessageBytes: 1_152 });
  run.bytes(encodeTcpMessage({ code: METHOD.put, token: EMPTY, options: [], payload: new Uint8Array(1_200) }));
  assert.deepEqual([run.last?.code, run.disconnected], [SIGNAL.abort, "malformed"]);
  assert.match(decodeUtf8(run.last?.payload ?? EMPTY) ?? "", /larger/);
});

test("§3.4: an Empty message is ignored; a response nobody waits for too", () => {
  const run = new Run();
  const before = run.written.length;
  run.message({ code: CODE.empty });
  run.message({ code: CODE.content, token: Uint8Array.of(1) });
  assert.deepEqual([run.written.length, run.disconnected], [before, undefined]);
});

test("§3.3: requests and responses find each other by token, in any order, both ways", () => {
  const run = new Run();
  run.bytes(get(1), get(2));
  run.answer(1, "two");
  run.answer(0, "one");
  assert.deepEqual(
    run.written.slice(1).map(({ token, payload }) => [token[0], decodeUtf8(payload)]),
    [
      [2, "two"],
      [1, "one"],
    ],
  );
  run.request(7);
  run.message({ code: CODE.changed, token: run.last?.token ?? EMPTY });
  const response = run.others.at(-1);
  assert.deepEqual([response?.kind, response?.kind === "response" && response.exchange], ["response", 7]);
  assert.equal(run.core.load.exchanges, 0);
});

test("RFC 7252 §5.4.1: a request with an unknown critical option is answered 4.02", () => {
  const run = new Run();
  run.message({ token: Uint8Array.of(4), options: [uintOption(9_999, 1)] });
  assert.deepEqual([run.last?.code, run.incoming.length], [CODE.badOption, 0]);
});

test("RFC 8323 §5.4: a Ping is answered with a Pong of its token, ours settle with the Pong", () => {
  const run = new Run();
  run.message({ code: SIGNAL.ping, token: Uint8Array.of(5) });
  assert.deepEqual([run.last?.code, run.last?.token, run.last?.options], [SIGNAL.pong, Uint8Array.of(5), []]);
  for (const exchange of [1, 2]) {
    run.feed({ kind: "ping", exchange, peer: PEER });
    assert.equal(run.last?.code, SIGNAL.ping);
    run.bytes(encodePong(run.last?.token ?? EMPTY, false));
  }
  assert.deepEqual(run.kinds.slice(-2), ["response", "response"]);
});

test("§5.4.1: a Ping with Custody is answered when all requests before it are, not those after it", () => {
  const run = new Run();
  const custody = [{ number: SIGNAL_OPTION.custody, value: EMPTY }];
  run.bytes(get(1), get(2));
  run.message({ code: SIGNAL.ping, token: Uint8Array.of(9), options: custody });
  run.bytes(get(3));
  run.answer(1);
  assert.equal(run.last?.code, CODE.content);
  run.answer(0);
  assert.deepEqual([run.last?.code, run.last?.token, run.last?.options], [SIGNAL.pong, Uint8Array.of(9), custody]);
  run.answer(2);
  run.message({ code: SIGNAL.ping, options: custody });
  assert.deepEqual([run.last?.code, run.last?.options], [SIGNAL.pong, custody]);
});

test("§5.5: after a Release what is open is finished, nothing new begins, then the connection is closed", () => {
  const run = new Run();
  run.bytes(get(1));
  run.message({ code: SIGNAL.release });
  assert.equal(run.disconnected, undefined);
  run.request(1);
  assert.equal(run.others.at(-1)?.kind, "failed");
  run.answer(0);
  assert.deepEqual([run.last?.code, run.disconnected], [CODE.content, "released"]);
});

test("§5.5, §5.6: our own end is a Release; an Abort of the peer fails what is open, without an answer", () => {
  const ours = new Run();
  ours.feed({ kind: "release", peer: PEER });
  assert.deepEqual([ours.last?.code, ours.disconnected], [SIGNAL.release, "done"]);
  const theirs = new Run();
  theirs.request(3);
  const before = theirs.written.length;
  theirs.message({ code: SIGNAL.abort });
  const failed = theirs.others.at(-1);
  assert.equal(failed?.kind === "failed" && failed.reason, "unreachable");
  assert.deepEqual([theirs.disconnected, theirs.written.length], ["aborted", before]);
  assert.deepEqual(theirs.core.load, { connections: 0, exchanges: 0, serving: 0, observers: 0, heldBytes: 0 });
});

test("§7.1: notifications are taken in the order of the stream, whatever their numbers", () => {
  const run = new Run();
  const request = createRequest("get", "/s", { options: [uintOption(OPTION.observe, 0)] });
  run.feed({ kind: "request", exchange: 1, peer: PEER, request, confirmable: true });
  const token = run.last?.token ?? EMPTY;
  for (const number of [9, 0, 5, 5])
    run.message({ code: CODE.content, token, options: [uintOption(OPTION.observe, number)] });
  assert.deepEqual(run.kinds.slice(1), ["response", "response", "response", "response"]);
});

/** A connection that observes us. */
function observed(run: Run): Observer<Peer> {
  run.message({ options: [uintOption(OPTION.observe, 0)], token: Uint8Array.of(1) });
  const incoming = run.incoming.at(-1) ?? assert.fail();
  const observer = { peer: PEER, token: Uint8Array.of(1), subject: undefined };
  run.feed({ kind: "respond", incoming, response: createResponse(CODE.content), observer });
  return observer;
}

test("RFC 7641 §4.5.2: while the network takes nothing only the newest state waits", () => {
  const run = new Run();
  const observer = observed(run);
  run.feed({ kind: "congested", peer: PEER });
  const before = run.written.length;
  for (const text of ["1", "2", "3"])
    run.feed({ kind: "notify", observer, response: createResponse(CODE.content, encodeUtf8(text)), confirmable: true });
  assert.equal(run.written.length, before);
  run.feed({ kind: "drained", peer: PEER });
  assert.deepEqual(
    run.written.slice(before).map(({ payload }) => decodeUtf8(payload)),
    ["3"],
  );
});

test("the observations of a connection end with it", () => {
  const run = new Run();
  observed(run);
  run.feed({ kind: "closed", peer: PEER });
  assert.deepEqual([run.kinds.at(-1), run.core.load.observers], ["observationEnded", 0]);
});

test("a peer that asks faster than it is answered is not read any further, and goes on where it was", () => {
  const run = new Run({ servingPerPeer: 2 });
  run.bytes(...[1, 2, 3, 4, 5].map((token) => get(token)));
  assert.deepEqual([run.incoming.length, run.kinds.at(-1)], [2, "pause"]);
  for (let place = 0; place < 5; place += 1) run.answer(place, String(place));
  assert.equal(run.kinds.at(-1), "resume");
  assert.deepEqual(
    run.written.slice(1).map(({ payload }) => decodeUtf8(payload)),
    ["0", "1", "2", "3", "4"],
  );
});

test("a peer that takes no answers gets no more work done, but its own answers are still read", () => {
  const run = new Run();
  run.request(1);
  const token = run.last?.token ?? EMPTY;
  run.feed({ kind: "congested", peer: PEER });
  run.message({ code: CODE.changed, token });
  assert.equal(run.kinds.at(-1), "response");
  run.bytes(get(1));
  assert.deepEqual([run.incoming.length, run.kinds.at(-1)], [0, "pause"]);
  run.feed({ kind: "drained", peer: PEER });
  assert.deepEqual([run.incoming.length, run.kinds.at(-1)], [1, "resume"]);
});

test("a peer that takes nothing at all is given up, one that never ends its message too, one that is silent after a Ping", () => {
  const stalled = new Run({ stallTimeoutMs: 100 });
  stalled.feed({ kind: "congested", peer: PEER });
  stalled.wake();
  assert.deepEqual([stalled.nowMs, stalled.disconnected], [100, "stalled"]);
  const trickling = new Run({ messageTimeoutMs: 100, idleTimeoutMs: 60 });
  trickling.bytes(get(1).subarray(0, 2));
  trickling.nowMs = 59;
  trickling.bytes(get(1).subarray(2, 3));
  trickling.wake();
  assert.equal(trickling.disconnected, undefined);
  trickling.wake();
  assert.deepEqual([trickling.nowMs, trickling.disconnected], [100, "malformed"]);
  const silent = new Run({ idleTimeoutMs: 100, pongTimeoutMs: 50 });
  silent.wake();
  assert.deepEqual([silent.nowMs, silent.last?.code], [100, SIGNAL.ping]);
  silent.bytes(encodePong(EMPTY, false));
  silent.wake();
  silent.wake();
  assert.deepEqual([silent.nowMs, silent.disconnected], [200, undefined]);
  silent.wake();
  assert.deepEqual([silent.nowMs, silent.disconnected], [250, "silent"]);
});

test("connections and the memory of unfinished messages have a limit in all", () => {
  const core = new TcpEndpoint<Peer>(() => 0.5, { connections: 2, heldBytes: 1_500 });
  const [a, b, c] = ["a", "b", "c"].map((key) => ({ key })) as [Peer, Peer, Peer];
  for (const peer of [a, b]) {
    core.step({ kind: "opened", peer }, 0);
    core.step({ kind: "bytes", peer, bytes: CSM }, 0);
  }
  assert.deepEqual(core.step({ kind: "opened", peer: c }, 0), [{ kind: "disconnect", peer: c, reason: "full" }]);
  const part = encodeTcpMessage({ code: METHOD.put, token: EMPTY, options: [], payload: new Uint8Array(2_000) });
  core.step({ kind: "bytes", peer: a, bytes: part.subarray(0, 1_000) }, 0);
  const outputs = core.step({ kind: "bytes", peer: b, bytes: part.subarray(0, 1_000) }, 0);
  assert.deepEqual(outputs.at(-1), { kind: "disconnect", peer: b, reason: "crowded" });
  assert.ok(core.load.heldBytes <= 1_500);
  core.step({ kind: "closed", peer: a }, 0);
  assert.equal(core.load.heldBytes, 0);
});

test("a request without an answer fails after its time, one to a connection that is gone at once", () => {
  const run = new Run({ responseTimeoutMs: 1_000 });
  run.request(1);
  run.wake();
  const failed = run.others.at(-1);
  assert.deepEqual([run.nowMs, failed?.kind === "failed" && failed.reason], [1_000, "noAnswer"]);
  run.feed({ kind: "closed", peer: PEER });
  run.request(2);
  const gone = run.others.at(-1);
  assert.equal(gone?.kind === "failed" && gone.reason, "unreachable");
});

test("an answer that comes after the connection is gone goes nowhere, is counted out, and begins no observation", () => {
  const run = new Run();
  run.message({ options: [uintOption(OPTION.observe, 0)], token: Uint8Array.of(1) });
  const incoming = run.incoming[0] ?? assert.fail();
  run.feed({ kind: "closed", peer: PEER });
  const before = run.written.length;
  const observer = { peer: PEER, token: Uint8Array.of(1), subject: undefined };
  run.feed({ kind: "respond", incoming, response: createResponse(CODE.content), observer });
  const { serving, observers } = run.core.load;
  assert.deepEqual([run.written.length, serving, observers, run.kinds.at(-1)], [before, 0, 0, "observationEnded"]);
});
