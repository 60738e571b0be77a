/** CoAP over TCP: the framing, and an endpoint that reads garbage cut anywhere. */
import assert from "node:assert/strict";
import { blockOption } from "@airlift/protocol/coap/block-option";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import { OPTION, pathOptions, uintOption } from "@airlift/protocol/coap/options";
import { encodeAbort, encodeCsm, encodePing, encodePong, encodeRelease, SIGNAL } from "@airlift/protocol/coap/signals";
import { TcpEndpoint } from "@airlift/protocol/coap/tcp-endpoint";
import type { TcpEndpointOutput } from "@airlift/protocol/coap/tcp-endpoint-types";
import { decodeTcpMessage, encodeTcpMessage, type TcpMessage } from "@airlift/protocol/coap/tcp-message";
import { concat, EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { seeded } from "@airlift/sim/world";
import type { FuzzTarget } from "../target.ts";

const base: TcpMessage = { code: METHOD.get, token: EMPTY, options: [], payload: EMPTY };
const csm = encodeCsm({ maxMessageBytes: 70_000, isBlockwise: true });
const group = blockOption(OPTION.block2, { number: 70, more: true, sizeBytes: 1024, isBert: true });
const messages = [
  csm,
  encodePing(),
  encodePong(Uint8Array.of(1), true),
  encodeRelease(),
  encodeAbort("enough", 2),
  encodeTcpMessage({ ...base, code: SIGNAL.ping, token: Uint8Array.of(3), options: [{ number: 2, value: EMPTY }] }),
  encodeTcpMessage({ ...base, token: Uint8Array.of(1), options: [...pathOptions("/fw"), group] }),
  encodeTcpMessage({ ...base, token: Uint8Array.of(2), options: [uintOption(OPTION.observe, 0)] }),
  encodeTcpMessage({ ...base, code: METHOD.put, payload: new Uint8Array(300) }),
  encodeTcpMessage({ ...base, code: CODE.content, token: new Uint8Array(8), payload: encodeUtf8("text") }),
  Uint8Array.of(0xf0, 0xff, 0xff, 0xff, 0xff, 0x45),
];
const corpus = [...messages, concat(messages.slice(0, 4)), concat([csm, ...messages.slice(5, 10)])];

/** Whatever can be decoded can be encoded, and decodes to the same again. */
export const coapTcpMessage: FuzzTarget = {
  name: "coap-tcp-message",
  corpus,
  run(bytes) {
    let message: TcpMessage;
    try {
      message = decodeTcpMessage(bytes);
    } catch (error) {
      if (error instanceof PeerError) return;
      throw error;
    }
    assert.deepEqual(decodeTcpMessage(encodeTcpMessage(message)), message);
  },
};

const LIMITS = { maxMessageBytes: 2_000, heldBytes: 8_192, servingPerPeer: 4, observersPerPeer: 2, connections: 2 };
const hostile: Peer = { key: "hostile" };

/** An endpoint reads the input after a proper beginning, in pieces that the input itself sizes; it answers some of it late. */
export const coapTcpEndpoint: FuzzTarget = {
  name: "coap-tcp-endpoint",
  corpus,
  run(bytes) {
    const core = new TcpEndpoint<Peer>(seeded(bytes.length), LIMITS);
    const waiting: TcpEndpointOutput<Peer>[] = [];
    let [nowMs, at, writtenBytes] = [0, 0, 0];
    const take = (outputs: TcpEndpointOutput<Peer>[]): void => {
      for (const output of outputs) {
        if (output.kind === "request") waiting.push(output);
        else if (output.kind === "write") writtenBytes += output.bytes.length;
      }
    };
    const answerOldest = (): void => {
      const oldest = waiting.shift();
      if (oldest?.kind !== "request") return;
      const { incoming } = oldest;
      const observer = { peer: hostile, token: Uint8Array.from(incoming.token), subject: undefined };
      take(core.step({ kind: "respond", incoming, response: createResponse(CODE.content), observer }, nowMs));
      take(core.step({ kind: "notify", observer, response: createResponse(CODE.content), confirmable: true }, nowMs));
    };
    take(core.step({ kind: "opened", peer: hostile }, nowMs));
    take(core.step({ kind: "bytes", peer: hostile, bytes: csm.slice() }, nowMs));
    const request = createRequest("get", "/");
    take(core.step({ kind: "request", exchange: 0, peer: hostile, request, confirmable: true }, nowMs));
    while (at < bytes.length) {
      const size = 1 + ((bytes[at] ?? 0) % 40);
      take(core.step({ kind: "bytes", peer: hostile, bytes: bytes.slice(at, at + size) }, nowMs));
      at += size;
      nowMs += size;
      if (size % 3 === 0) take(core.step({ kind: size % 2 ? "congested" : "drained", peer: hostile }, nowMs));
      if (size % 2 === 0) answerOldest();
      const { load } = core;
      assert.ok(load.serving <= LIMITS.servingPerPeer && load.heldBytes <= LIMITS.heldBytes);
      assert.ok(load.observers <= LIMITS.observersPerPeer && load.exchanges <= 1);
    }
    assert.ok(writtenBytes < 1_000 + 100 * bytes.length, "answers stay in proportion");
    while (waiting.length > 0) answerOldest();
    take(core.step({ kind: "closed", peer: hostile }, nowMs));
    assert.deepEqual(core.load, { connections: 0, exchanges: 0, serving: 0, observers: 0, heldBytes: 0 });
    assert.equal(core.wakeAtMs, undefined);
  },
};
