/** CoAP: the decoder, and a whole endpoint that gets several hostile datagrams in a row. */
import assert from "node:assert/strict";
import { answerBlock } from "@airlift/protocol/coap/answer-block";
import { BlockDownload } from "@airlift/protocol/coap/block-download";
import { blockOption, DATAGRAM_BLOCKS } from "@airlift/protocol/coap/block-option";
import { BlockUpload } from "@airlift/protocol/coap/block-upload";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { Endpoint } from "@airlift/protocol/coap/endpoint";
import type { EndpointOutput } from "@airlift/protocol/coap/endpoint-types";
import { CoapRefusal, createRequest, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import { type CoapMessage, decodeMessage, encodeEmpty, encodeMessage } from "@airlift/protocol/coap/message";
import { OPTION, pathOptions, queryOptions, textOption, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { seeded } from "@airlift/sim/world";
import type { FuzzTarget } from "../target.ts";

const base: CoapMessage = { type: 0, code: METHOD.get, messageId: 1, token: EMPTY, options: [], payload: EMPTY };
const seeds: Partial<CoapMessage>[] = [
  {
    options: [...pathOptions("/fw/image"), blockOption(OPTION.block2, { number: 70_000, more: false, sizeBytes: 64 })],
  },
  {
    code: METHOD.put,
    options: [...pathOptions("/5/0/0"), blockOption(OPTION.block1, { number: 0, more: true, sizeBytes: 16 })],
    payload: new Uint8Array(16),
  },
  { code: METHOD.post, token: new Uint8Array(8), options: [...pathOptions("/rd"), ...queryOptions("ep=node&lt=300")] },
  { options: [uintOption(OPTION.observe, 0), textOption(OPTION.proxyUri, `coap://${"x".repeat(300)}/`)] },
  {
    type: 2,
    code: CODE.content,
    token: Uint8Array.of(1),
    options: [uintOption(OPTION.size2, 2 ** 31)],
    payload: encodeUtf8("x"),
  },
  { type: 1, code: CODE.content, options: [uintOption(OPTION.observe, 5), uintOption(60_001, 1)] },
];
const corpus = [
  ...seeds.map((seed) => encodeMessage({ ...base, ...seed })),
  encodeEmpty(0, 1),
  encodeEmpty(2, 1),
  encodeEmpty(3, 1),
];

/** Whatever can be decoded can be encoded, and decodes to the same again. */
export const coapMessage: FuzzTarget = {
  name: "coap-message",
  corpus,
  run(bytes) {
    let message: CoapMessage;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      if (error instanceof PeerError) return;
      throw error;
    }
    assert.deepEqual(decodeMessage(encodeMessage(message)), message);
  },
};

const LIMITS = { peers: 8, seen: 64, seenBytes: 4_096, observers: 8, serving: 8 };
const hostile: Peer = { key: "hostile" };

/** An endpoint with an open request and an observer gets the input in up to eight pieces; it answers all it is asked. */
export const coapEndpoint: FuzzTarget = {
  name: "coap-endpoint",
  corpus,
  run(bytes) {
    const core = new Endpoint<Peer>(seeded(bytes.length), LIMITS);
    let nowMs = 0;
    const answerAll = (outputs: EndpointOutput<Peer>[]): void => {
      for (const output of outputs) {
        if (output.kind !== "request") continue;
        const { incoming } = output;
        const observer = { peer: hostile, token: incoming.token, subject: undefined };
        const response = createResponse(CODE.content, EMPTY, [uintOption(OPTION.maxAge, 1)]);
        answerAll(core.step({ kind: "respond", incoming, response, observer }, nowMs));
        answerAll(core.step({ kind: "notify", observer, response, confirmable: true }, nowMs));
      }
    };
    core.step(
      { kind: "request", exchange: 0, peer: hostile, request: createRequest("get", "/"), confirmable: true },
      0,
    );
    const size = 1 + (bytes.length >> 3);
    for (let at = 0; at <= bytes.length; at += size) {
      answerAll(core.step({ kind: "datagram", peer: hostile, datagram: bytes.subarray(at) }, nowMs));
      nowMs += bytes[at] ?? 1;
      answerAll(core.step({ kind: "wake" }, nowMs));
      const { load } = core;
      assert.ok(load.peers <= LIMITS.peers && load.seenBytes <= LIMITS.seenBytes && load.observers <= LIMITS.observers);
      assert.equal(load.serving, 0);
    }
    for (let wakes = 0; core.wakeAtMs !== undefined; wakes += 1) {
      assert.ok(wakes < 100, "an endpoint comes to rest");
      core.step({ kind: "wake" }, core.wakeAtMs);
    }
    assert.equal(core.load.exchanges, 0);
  },
};

/** Both ends of block-wise transfers get a response or request that the input decodes to. */
export const coapBlockwise: FuzzTarget = {
  name: "coap-blockwise",
  corpus,
  run(bytes) {
    let message: CoapMessage;
    try {
      message = decodeMessage(bytes);
      answerBlock(message, 5_000, DATAGRAM_BLOCKS);
    } catch (error) {
      if (error instanceof CoapRefusal || error instanceof PeerError) return;
      throw error;
    }
    const download = new BlockDownload(createRequest("get", "/"), { offset: message.messageId });
    const upload = new BlockUpload(createRequest("put", "/"), 5_000);
    download.step({ kind: "start" }, 0);
    upload.step({ kind: "start" }, 0);
    upload.step({ kind: "bytes", bytes: new Uint8Array(1024) }, 0);
    const response = { ...message, code: CODE.content };
    for (let i = 0; i < 3; i += 1) {
      for (const output of download.step({ kind: "response", response }, 0))
        if (output.kind === "data") download.step({ kind: "taken" }, 0);
      upload.step({ kind: "response", response }, 0);
    }
  },
};
