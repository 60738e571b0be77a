import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { Endpoint } from "@airlift/protocol/coap/endpoint";
import type { EndpointInput, EndpointOutput, IncomingRequest } from "@airlift/protocol/coap/endpoint-types";
import { createRequest, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import { decodeMessage } from "@airlift/protocol/coap/message";
import { decodeUint, encodeUint, OPTION, uintOption } from "@airlift/protocol/coap/options";
import { toHex } from "@airlift/protocol/lib/bytes";
import { Link, type LinkNode } from "@airlift/sim/link";
import { seeded } from "@airlift/sim/world";

const DAY_MS = 86_400_000;
const SERVER: Peer = { key: "server" };
const CLIENT: Peer = { key: "client" };
const ROUGH = { loss: 0.2, duplication: 0.2, minDelayMs: 10, maxDelayMs: 5_000 };

type Feed = (input: EndpointInput<Peer>) => void;
type Perform = (output: EndpointOutput<Peer>, feed: Feed, nowMs: number) => void;

const node = (peer: Peer, seed: number, perform: Perform): LinkNode => ({
  peer,
  core: new Endpoint<Peer>(seeded(seed)),
  perform,
});

/** A server that answers its n-th request with n; every third one only after its acknowledgement. */
function counter(executed: string[]): Perform {
  let late: IncomingRequest<Peer> | undefined;
  const answer = (incoming: IncomingRequest<Peer>): EndpointInput<Peer> => {
    executed.push(toHex(incoming.request.payload));
    return { kind: "respond", incoming, response: createResponse(CODE.changed, encodeUint(executed.length)) };
  };
  return (output, feed) => {
    if (output.kind !== "request") return;
    if (late) feed(answer(late));
    late = undefined;
    const { incoming } = output;
    if ((incoming.request.payload[0] ?? 0) % 3 === 0) {
      feed({ kind: "defer", incoming });
      late = incoming;
    } else feed(answer(incoming));
  };
}

test("RFC 7252 §4.5: over a rough link no confirmable request is carried out twice, and each answer is the one given (300 seeds)", () => {
  for (let seed = 0; seed < 300; seed += 1) {
    const executed: string[] = [];
    const answers = new Map<number, number>();
    const link = new Link(ROUGH, seeded(seed));
    const client = node(CLIENT, seed + 1, (output) => {
      if (output.kind === "response") answers.set(output.exchange, decodeUint(output.response.payload));
    });
    link.add(client);
    link.add(node(SERVER, seed + 2, counter(executed)));
    for (let exchange = 1; exchange <= 12; exchange += 1) {
      const request = createRequest("post", "/count", { payload: Uint8Array.of(exchange) });
      link.feed(client, { kind: "request", exchange, peer: SERVER, request, confirmable: true });
    }
    link.run(DAY_MS);
    assert.equal(new Set(executed).size, executed.length, `seed ${seed}: ${executed}`);
    for (const [exchange, place] of answers)
      assert.equal(executed[place - 1], toHex(Uint8Array.of(exchange)), `seed ${seed}, exchange ${exchange}`);
    assert.ok(answers.size >= 6, `seed ${seed}: only ${answers.size} answers`);
  }
});

test("§4.5, §4.4: over a rough link, the answers to one Message ID are the same octets (300 seeds)", () => {
  for (let seed = 0; seed < 300; seed += 1) {
    const link = new Link(ROUGH, seeded(seed));
    const client = node(CLIENT, seed + 1, () => {});
    link.add(client);
    link.add(node(SERVER, seed + 2, counter([])));
    for (let exchange = 1; exchange <= 6; exchange += 1) {
      const request = createRequest("post", "/count", { payload: Uint8Array.of(3 * exchange + 1) });
      link.feed(client, { kind: "request", exchange, peer: SERVER, request, confirmable: true });
    }
    link.run(DAY_MS);
    const answers = new Map<number, string>();
    for (const { from, datagram } of link.records) {
      const { type, messageId } = decodeMessage(datagram);
      if (from !== SERVER.key || type !== 2) continue;
      assert.equal(answers.get(messageId) ?? toHex(datagram), toHex(datagram), `seed ${seed}`);
      answers.set(messageId, toHex(datagram));
    }
  }
});

test("§4.7: with NSTART = 1 no request is sent before the one ahead is settled (100 seeds)", () => {
  for (let seed = 0; seed < 100; seed += 1) {
    const link = new Link({ ...ROUGH, loss: 0.4 }, seeded(seed));
    const client = node(CLIENT, seed + 1, () => {});
    link.add(client);
    link.add(node(SERVER, seed + 2, counter([])));
    for (let exchange = 1; exchange <= 8; exchange += 1) {
      const request = createRequest("post", "/count", { payload: Uint8Array.of(3 * exchange + 1) });
      link.feed(client, { kind: "request", exchange, peer: SERVER, request, confirmable: true });
    }
    link.run(DAY_MS);
    const order = link.records
      .filter(({ from, datagram }) => from === CLIENT.key && decodeMessage(datagram).type === 0)
      .map(({ datagram }) => toHex(decodeMessage(datagram).payload));
    const firsts = order.filter((payload, i) => payload !== order[i - 1]);
    assert.equal(new Set(firsts).size, firsts.length, `seed ${seed}: requests overlap: ${order}`);
  }
});

test("RFC 7641 §1.3, §3.4: over a rough link an observer ends up with the newest state and never goes back (300 seeds)", () => {
  for (let seed = 0; seed < 300; seed += 1) {
    const states: number[] = [];
    const link = new Link({ ...ROUGH, loss: 0.1 }, seeded(seed));
    const client = node(CLIENT, seed + 1, (output) => {
      if (output.kind === "response") states.push(decodeUint(output.response.payload));
    });
    const state = (value: number) => createResponse(CODE.content, encodeUint(value));
    let told = false;
    let isEnded = false;
    const server = node(SERVER, seed + 2, (output, feed) => {
      if (output.kind === "observationEnded") isEnded = true;
      if (output.kind !== "request") return;
      const { incoming } = output;
      const observer = { peer: CLIENT, token: incoming.token, subject: undefined };
      feed({ kind: "respond", incoming, response: state(0), observer });
      told = true;
      for (let value = 1; value <= 20; value += 1)
        feed({ kind: "notify", observer, response: state(value), confirmable: value % 4 === 0 });
    });
    link.add(client);
    link.add(server);
    const request = createRequest("get", "/state", { options: [uintOption(OPTION.observe, 0)] });
    link.feed(client, { kind: "request", exchange: 1, peer: SERVER, request, confirmable: true });
    link.run(DAY_MS);
    assert.deepEqual(
      states,
      states.toSorted((a, b) => a - b),
      `seed ${seed}`,
    );
    if (told && !isEnded && states.length > 0) assert.equal(states.at(-1), 20, `seed ${seed}`);
  }
});
