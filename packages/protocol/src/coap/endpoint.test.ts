import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, encodeUtf8, toHex } from "../lib/bytes.ts";
import { CODE, METHOD } from "./codes.ts";
import { Endpoint } from "./endpoint.ts";
import type { EndpointInput, EndpointOptions, EndpointOutput, IncomingRequest } from "./endpoint-types.ts";
import { createRequest, createResponse, type Peer } from "./exchange.ts";
import { type CoapMessage, decodeMessage, encodeEmpty, encodeMessage } from "./message.ts";
import type { Observer } from "./observers.ts";
import { OPTION, optionUint, uintOption } from "./options.ts";

const PEER: Peer = { key: "peer" };
const TOKEN = Uint8Array.of(1, 2);

/** One endpoint at a standing clock, and what it said last. */
class Bench {
  readonly core: Endpoint<Peer>;
  nowMs = 0;

  constructor(options: Partial<EndpointOptions> = {}) {
    let drawn = 0;
    this.core = new Endpoint<Peer>(() => (drawn++ * 0.618) % 1, options);
  }

  feed(input: EndpointInput<Peer>): EndpointOutput<Peer>[] {
    return this.core.step(input, this.nowMs);
  }

  receive(message: Partial<CoapMessage>, peer = PEER): EndpointOutput<Peer>[] {
    const whole = {
      type: 0,
      code: METHOD.get,
      messageId: 7,
      token: TOKEN,
      options: [],
      payload: EMPTY,
      ...message,
    } as const;
    return this.feed({ kind: "datagram", peer, datagram: encodeMessage(whole) });
  }

  request(exchange: number, input: Partial<EndpointInput<Peer> & { kind: "request" }> = {}): EndpointOutput<Peer>[] {
    const request = createRequest("get", "/a");
    return this.feed({ kind: "request", exchange, peer: PEER, request, confirmable: true, ...input });
  }

  /** Wakes the core at each of its times until `untilMs`. */
  pass(untilMs: number): EndpointOutput<Peer>[] {
    const outputs: EndpointOutput<Peer>[] = [];
    for (let atMs = this.core.wakeAtMs; atMs !== undefined && atMs <= untilMs; atMs = this.core.wakeAtMs) {
      this.nowMs = atMs;
      outputs.push(...this.feed({ kind: "wake" }));
    }
    this.nowMs = untilMs;
    return outputs;
  }
}

const sent = (outputs: EndpointOutput<Peer>[]): Uint8Array[] =>
  outputs.flatMap((output) => (output.kind === "send" ? [output.datagram] : []));
const sentMessages = (outputs: EndpointOutput<Peer>[]): CoapMessage[] => sent(outputs).map(decodeMessage);
const kinds = (outputs: EndpointOutput<Peer>[]): string[] => outputs.map(({ kind }) => kind);

function only<T>(items: readonly T[]): T {
  assert.equal(items.length, 1);
  return items[0] as T;
}

function incomingOf(outputs: EndpointOutput<Peer>[]): IncomingRequest<Peer> {
  const output = outputs.find(({ kind }) => kind === "request");
  return output?.kind === "request" ? output.incoming : assert.fail("no request came out");
}

const content = (text: string) => createResponse(CODE.content, encodeUtf8(text));

test("RFC 7252 §5.2.1: an answer at once is piggybacked on the acknowledgement", () => {
  const bench = new Bench();
  const incoming = incomingOf(bench.receive({}));
  const reply = only(sentMessages(bench.feed({ kind: "respond", incoming, response: content("x") })));
  assert.deepEqual([reply.type, reply.code, reply.messageId, reply.token], [2, CODE.content, 7, TOKEN]);
});

test("§4.5: a duplicate gets the same octets and reaches nobody, until EXCHANGE_LIFETIME has passed", () => {
  const bench = new Bench();
  const incoming = incomingOf(bench.receive({ code: METHOD.post }));
  const reply = sent(bench.feed({ kind: "respond", incoming, response: content("x") }));
  bench.pass(246_000);
  assert.deepEqual(
    bench.receive({ code: METHOD.post }).map(({ kind }) => kind),
    ["send"],
  );
  assert.deepEqual(sent(bench.receive({ code: METHOD.post })), reply);
  bench.nowMs = 248_000;
  assert.ok(incomingOf(bench.receive({ code: METHOD.post })));
});

test("§4.5: a duplicate of a request in work, and one of a non-confirmable request, is silent", () => {
  const bench = new Bench();
  bench.receive({});
  assert.deepEqual(bench.receive({}), []);
  const incoming = incomingOf(bench.receive({ type: 1, messageId: 8 }));
  assert.equal(only(sentMessages(bench.feed({ kind: "respond", incoming, response: content("x") }))).type, 1);
  assert.deepEqual(bench.receive({ type: 1, messageId: 8 }), []);
});

test("§4.5: a peer that started anew and uses a number again is served: its token is another one", () => {
  const bench = new Bench();
  const incoming = incomingOf(bench.receive({ code: METHOD.post }));
  bench.feed({ kind: "respond", incoming, response: content("old") });
  const anew = incomingOf(bench.receive({ code: METHOD.post, token: Uint8Array.of(9) }));
  const reply = only(sentMessages(bench.feed({ kind: "respond", incoming: anew, response: content("new") })));
  assert.deepEqual([reply.messageId, reply.token, reply.payload], [7, Uint8Array.of(9), encodeUtf8("new")]);
});

test("§5.2.2: an answer that takes long comes in a message of its own, after an empty acknowledgement", () => {
  const bench = new Bench();
  const incoming = incomingOf(bench.receive({}));
  assert.deepEqual(bench.feed({ kind: "defer", incoming }), []);
  const ack = only(sent(bench.pass(500)));
  assert.equal(toHex(ack), "60000007");
  assert.deepEqual(sent(bench.receive({})), [ack]);
  const response = only(sentMessages(bench.feed({ kind: "respond", incoming, response: content("x") })));
  assert.deepEqual([response.type, response.token], [0, TOKEN]);
  assert.equal(sent(bench.pass(4_000)).length, 1);
  bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(2, response.messageId) });
  assert.deepEqual(sent(bench.pass(200_000)), []);
});

test("§5.3.2: a separate response is acknowledged, its duplicate with the same octets, a stray one is rejected", () => {
  const bench = new Bench();
  const request = only(sentMessages(bench.request(1)));
  bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(2, request.messageId) });
  const response = { code: CODE.content, messageId: 99, token: request.token };
  const outputs = bench.receive(response);
  assert.deepEqual(kinds(outputs), ["response", "send"]);
  assert.equal(toHex(only(sent(outputs))), "60000063");
  assert.deepEqual(sent(bench.receive(response)), sent(outputs));
  assert.equal(toHex(only(sent(bench.receive({ ...response, messageId: 100 })))), "70000064");
});

test("§5.2.2: a response that overtakes its acknowledgement ends the retransmission", () => {
  const bench = new Bench();
  const { token } = only(sentMessages(bench.request(1)));
  bench.receive({ type: 1, code: CODE.content, messageId: 99, token });
  assert.deepEqual(sent(bench.pass(100_000)), []);
});

test("§5.3.2: a piggybacked response must match Message ID and token", () => {
  const bench = new Bench();
  const { token, messageId } = only(sentMessages(bench.request(1)));
  assert.deepEqual(bench.receive({ type: 2, code: CODE.content, messageId: messageId + 1, token }), []);
  assert.deepEqual(bench.receive({ type: 2, code: CODE.content, messageId, token: TOKEN }), []);
  assert.deepEqual(kinds(bench.receive({ type: 2, code: CODE.content, messageId, token })), ["response"]);
});

test("§4.2: without an answer 4 retransmissions of the same octets, then noAnswer; a Reset fails at once", () => {
  const bench = new Bench();
  const first = sent(bench.request(1));
  const outputs = bench.pass(100_000);
  assert.deepEqual(sent(outputs), [first[0], first[0], first[0], first[0]]);
  assert.deepEqual(outputs.at(-1), { kind: "failed", exchange: 1, reason: "noAnswer" });
  const { messageId } = only(sentMessages(bench.request(2)));
  const reset = bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(3, messageId) });
  assert.deepEqual(reset, [{ kind: "failed", exchange: 2, reason: "rejected" }]);
});

test("§4.7: NSTART requests are under way to one peer, the others wait; another peer is not held up", () => {
  const bench = new Bench();
  const { token, messageId } = only(sentMessages(bench.request(1)));
  assert.deepEqual([...bench.request(2), ...bench.request(3)], []);
  assert.equal(sent(bench.request(4, { peer: { key: "other" } })).length, 1);
  assert.deepEqual(kinds(bench.receive({ type: 2, code: CODE.content, messageId, token })), ["send", "response"]);
});

test("§4.7: PROBING_RATE: after a non-confirmable request without an answer, the next waits an octet a second", () => {
  const bench = new Bench();
  const first = only(sent(bench.request(1, { confirmable: false })));
  bench.request(2, { confirmable: false });
  assert.deepEqual(sent(bench.pass(first.length * 1000 - 1)), []);
  assert.equal(sent(bench.pass(first.length * 1000)).length, 1);
  assert.deepEqual(
    bench.pass(300_000).map((output) => output.kind === "failed" && output.exchange),
    [1, 2],
  );
});

test("§4.3: an Empty confirmable message is a ping and gets a Reset; other Empty messages get nothing", () => {
  const bench = new Bench();
  assert.equal(
    toHex(only(sent(bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(0, 5) })))),
    "70000005",
  );
  for (const type of [1, 2, 3] as const)
    assert.deepEqual(bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(type, 5) }), []);
});

test("§4.3: our ping is answered by a Reset, or fails after the retransmissions", () => {
  const bench = new Bench();
  const first = only(sent(bench.feed({ kind: "ping", exchange: 5, peer: PEER })));
  assert.equal(first.length, 4);
  const reset = encodeEmpty(3, decodeMessage(first).messageId);
  assert.deepEqual(bench.feed({ kind: "datagram", peer: PEER, datagram: reset }), [{ kind: "pong", exchange: 5 }]);
  bench.feed({ kind: "ping", exchange: 6, peer: PEER });
  assert.deepEqual(bench.pass(100_000).at(-1), { kind: "failed", exchange: 6, reason: "noAnswer" });
  assert.equal(bench.request(1).length, 1);
});

test("§4.2, §4.3: a malformed or reserved confirmable message gets a Reset, a non-confirmable one nothing", () => {
  const bench = new Bench();
  const feed = (octets: number[]) => bench.feed({ kind: "datagram", peer: PEER, datagram: Uint8Array.from(octets) });
  assert.equal(toHex(only(sent(feed([0x49, 1, 0, 9])))), "70000009");
  assert.equal(toHex(only(sent(feed([0x40, 0x21, 0, 9])))), "70000009");
  for (const octets of [[0x59, 1, 0, 9], [0x50, 0x21, 0, 9], [0x69, 1, 0, 9], [0x80, 1, 0, 9], [0x40], []])
    assert.deepEqual(feed(octets), []);
  assert.equal(bench.core.load.peers, 0);
});

test("§5.4.1: an unknown critical option is 4.02 for a confirmable request, silence for a non-confirmable one", () => {
  const bench = new Bench();
  const options = [{ number: 65_001, value: EMPTY }];
  assert.equal(only(sentMessages(bench.receive({ options }))).code, CODE.badOption);
  assert.deepEqual(bench.receive({ type: 1, options, messageId: 8 }), []);
  const { token, messageId } = only(sentMessages(bench.request(1)));
  const answer = bench.receive({ type: 2, code: CODE.content, messageId, token, options });
  assert.deepEqual(answer, [{ kind: "failed", exchange: 1, reason: "badResponse" }]);
});

test("§5.10.2: a proxy is not offered: 5.05", () => {
  const options = [{ number: OPTION.proxyUri, value: encodeUtf8("coap://x/") }];
  assert.equal(only(sentMessages(new Bench().receive({ options }))).code, CODE.proxyingNotSupported);
});

test("RFC 7967 §2: a response of an unwanted class is withheld, the request still acknowledged", () => {
  const bench = new Bench();
  const options = [uintOption(OPTION.noResponse, 2)];
  const incoming = incomingOf(bench.receive({ options }));
  assert.deepEqual(sent(bench.feed({ kind: "respond", incoming, response: content("x") })).map(toHex), ["60000007"]);
});

const observe = (bench: Bench, messageId = 7, token = TOKEN): Observer<Peer> => {
  const options = [uintOption(OPTION.observe, 0)];
  const incoming = incomingOf(bench.receive({ messageId, token, options }));
  const observer = { peer: PEER, token, subject: undefined };
  const first = only(sentMessages(bench.feed({ kind: "respond", incoming, response: content("0"), observer })));
  assert.notEqual(optionUint(first.options, OPTION.observe), undefined);
  return observer;
};

test("RFC 7641 §4.4: the Observe option grows with each notification", () => {
  const bench = new Bench();
  const observer = observe(bench);
  const sequences = ["1", "2", "3"].map((text) => {
    const outputs = bench.feed({ kind: "notify", observer, response: content(text), confirmable: false });
    return optionUint(only(sentMessages(outputs)).options, OPTION.observe) ?? Number.NaN;
  });
  assert.deepEqual(
    sequences,
    sequences.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(sequences).size, 3);
});

test("RFC 7641 §4.5.2: while one confirmable notification is under way only the newest state is kept", () => {
  for (const nstart of [1, 4]) {
    const bench = new Bench({ nstart });
    const observer = observe(bench);
    const notify = (text: string) =>
      bench.feed({ kind: "notify", observer, response: content(text), confirmable: true });
    const first = only(sentMessages(notify("1")));
    assert.deepEqual([...notify("2"), ...notify("3")], []);
    const next = bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(2, first.messageId) });
    assert.deepEqual(only(sentMessages(next)).payload, encodeUtf8("3"));
  }
});

test("notifications of several resources leave in the order in which these changed last", () => {
  const bench = new Bench({ nstart: 1 });
  const observers = [7, 8, 9].map((id) => observe(bench, id, Uint8Array.of(id)));
  const notify = (at: number, text: string) =>
    bench.feed({
      kind: "notify",
      observer: observers[at] as Observer<Peer>,
      response: content(text),
      confirmable: true,
    });
  const first = only(sentMessages(notify(0, "a")));
  notify(1, "state 1");
  notify(2, "result 5");
  notify(1, "state 0");
  const acknowledge = ({ messageId }: CoapMessage): CoapMessage =>
    only(sentMessages(bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(2, messageId) })));
  const second = acknowledge(first);
  const third = acknowledge(second);
  assert.deepEqual(
    [second, third].map(({ payload }) => payload),
    ["result 5", "state 0"].map(encodeUtf8),
  );
  assert.deepEqual(bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(2, third.messageId) }), []);
});

test("RFC 7641 §3.6, §4.2, §4.5: a Reset, silence, a deregistration and a new registration end an observation", () => {
  for (const [reason, end] of [
    [
      "rejected",
      (bench: Bench, id: number) => bench.feed({ kind: "datagram", peer: PEER, datagram: encodeEmpty(3, id) }),
    ],
    ["noAnswer", (bench: Bench) => bench.pass(100_000)],
    ["unreachable", (bench: Bench) => bench.feed({ kind: "unreachable", peer: PEER })],
    ["deregistered", (bench: Bench) => bench.receive({ messageId: 8, options: [uintOption(OPTION.observe, 1)] })],
  ] as const) {
    const bench = new Bench();
    const observer = observe(bench);
    const notification = bench.feed({ kind: "notify", observer, response: content("1"), confirmable: true });
    const ended = end(bench, only(sentMessages(notification)).messageId).filter(
      ({ kind }) => kind === "observationEnded",
    );
    assert.deepEqual(ended, [{ kind: "observationEnded", observer, reason }]);
    assert.equal(bench.core.load.observers, 0, reason);
  }
  const bench = new Bench();
  observe(bench);
  observe(bench, 8);
  assert.equal(bench.core.load.observers, 1);
});

test("RFC 7641 §4.2: a Reset for a notification that was not confirmable ends it too, an error code likewise", () => {
  const bench = new Bench();
  const observer = observe(bench);
  const outputs = bench.feed({ kind: "notify", observer, response: content("1"), confirmable: false });
  const reset = encodeEmpty(3, only(sentMessages(outputs)).messageId);
  assert.deepEqual(kinds(bench.feed({ kind: "datagram", peer: PEER, datagram: reset })), ["observationEnded"]);
  const second = observe(bench, 9);
  const last = bench.feed({
    kind: "notify",
    observer: second,
    response: createResponse(CODE.notFound),
    confirmable: true,
  });
  assert.equal(optionUint(only(sentMessages(last)).options, OPTION.observe), undefined);
  assert.equal(bench.core.load.observers, 0);
});

test("RFC 7641 §4.5: after a day without a word from the observer a notification is confirmable", () => {
  const bench = new Bench();
  const observer = observe(bench);
  bench.pass(25 * 3_600_000);
  const outputs = bench.feed({ kind: "notify", observer, response: content("1"), confirmable: false });
  assert.equal(only(sentMessages(outputs)).type, 0);
});

test("RFC 7641 §3.4: a notification that was overtaken is acknowledged and dropped", () => {
  const bench = new Bench();
  const request = { ...createRequest("get", "/a"), options: [uintOption(OPTION.observe, 0)] };
  const { token, messageId } = only(sentMessages(bench.request(1, { request })));
  const tell = (type: 0 | 1 | 2, id: number, sequence: number) =>
    kinds(
      bench.receive({
        type,
        code: CODE.content,
        messageId: id,
        token,
        options: [uintOption(OPTION.observe, sequence)],
      }),
    );
  assert.deepEqual(tell(2, messageId, 10), ["response"]);
  assert.deepEqual(tell(0, 50, 12), ["response", "send"]);
  assert.deepEqual(tell(0, 51, 11), ["send"]);
  assert.deepEqual(tell(1, 52, 13), ["response"]);
  bench.feed({ kind: "cancel", exchange: 1 });
  assert.equal(toHex(only(sent(bench.receive({ type: 1, code: CODE.content, messageId: 53, token })))), "70000035");
});

test("limits: one request too many is 5.03, one exchange too many is overloaded, one observer too many is not kept", () => {
  const bench = new Bench({ servingPerPeer: 1, exchangesPerPeer: 1, observersPerPeer: 0 });
  const incoming = incomingOf(bench.receive({}));
  assert.equal(only(sentMessages(bench.receive({ messageId: 8 }))).code, CODE.serviceUnavailable);
  const observer = { peer: PEER, token: TOKEN, subject: undefined };
  const outputs = bench.feed({ kind: "respond", incoming, response: content("x"), observer });
  assert.equal(optionUint(only(sentMessages(outputs)).options, OPTION.observe), undefined);
  bench.request(1);
  assert.deepEqual(bench.request(2), [{ kind: "failed", exchange: 2, reason: "overloaded" }]);
});

test("limits: a stranger's answers are forgotten oldest first, and silent peers after EXCHANGE_LIFETIME", () => {
  const bench = new Bench({ seenBytes: 10_000, peers: 100 });
  for (let i = 0; i < 1_000; i += 1) {
    const incoming = incomingOf(bench.receive({ messageId: i }, { key: `peer ${i}` }));
    bench.feed({ kind: "respond", incoming, response: createResponse(CODE.content, new Uint8Array(500)) });
  }
  assert.ok(bench.core.load.seenBytes <= 10_000);
  assert.ok(bench.core.load.peers <= 100);
  bench.pass(248_000);
  assert.deepEqual(bench.core.load, { peers: 0, exchanges: 0, serving: 0, observers: 0, seenBytes: 0 });
  assert.equal(bench.core.wakeAtMs, undefined);
});
