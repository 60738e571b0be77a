import assert from "node:assert/strict";
import { test } from "node:test";
import { answerBlock } from "@airlift/protocol/coap/answer-block";
import { BlockDownload, type DownloadOutput } from "@airlift/protocol/coap/block-download";
import { blockOption, findBlock } from "@airlift/protocol/coap/block-option";
import { BlockUpload, type UploadOutput } from "@airlift/protocol/coap/block-upload";
import { CODE } from "@airlift/protocol/coap/codes";
import { Endpoint } from "@airlift/protocol/coap/endpoint";
import type { EndpointInput, EndpointOutput } from "@airlift/protocol/coap/endpoint-types";
import {
  type CoapRequest,
  type CoapResponse,
  createRequest,
  createResponse,
  type Peer,
} from "@airlift/protocol/coap/exchange";
import { OPTION } from "@airlift/protocol/coap/options";
import { judgeBlock, Receptions, receptionKey } from "@airlift/protocol/coap/receptions";
import { concat, EMPTY } from "@airlift/protocol/lib/bytes";
import { Link, type LinkNode, type LinkOptions } from "@airlift/sim/link";
import { seeded } from "@airlift/sim/world";

const DAY_MS = 86_400_000;
const SERVER = { key: "server" };
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31) ^ (i >> 8));
const roughLink = (loss: number): LinkOptions => ({ loss, duplication: 0.1, minDelayMs: 10, maxDelayMs: 3_000 });

type Feed = (input: EndpointInput<Peer>) => void;

function serverNode(seed: number, answer: (request: CoapRequest) => CoapResponse): LinkNode {
  const core = new Endpoint<Peer>(seeded(seed));
  return {
    peer: SERVER,
    core,
    perform: (output, feed) => {
      if (output.kind !== "request") return;
      feed({ kind: "respond", incoming: output.incoming, response: answer(output.incoming.request) });
    },
  };
}

/** A client that sends one request after the other; one without an answer is sent once more, as a new exchange. */
class Requester implements LinkNode {
  readonly peer = { key: "client" };
  readonly core: Endpoint<Peer>;
  readonly onResponse: (response: CoapResponse, send: (request: CoapRequest) => void, nowMs: number) => void;
  readonly token = Uint8Array.of(0xca, 0xfe);
  exchange = 0;
  repeats = 0;
  latest: CoapRequest | undefined;

  constructor(seed: number, onResponse: Requester["onResponse"]) {
    this.core = new Endpoint<Peer>(seeded(seed));
    this.onResponse = onResponse;
  }

  send(request: CoapRequest, feed: Feed): void {
    this.latest = request;
    this.exchange += 1;
    const { exchange, token } = this;
    feed({ kind: "request", exchange, peer: SERVER, request, confirmable: true, token });
  }

  perform(output: EndpointOutput<Peer>, feed: Feed, nowMs: number): void {
    if (output.kind === "response") this.onResponse(output.response, (request) => this.send(request, feed), nowMs);
    else if (output.kind === "failed" && this.latest) {
      this.repeats += 1;
      this.send(this.latest, feed);
    }
  }
}

function pull(seed: number, loss: number, body: Uint8Array, blockBytes: number | undefined): Uint8Array {
  const parts: Uint8Array[] = [];
  let finished = false;
  const download = new BlockDownload(createRequest("get", "/fw"), { blockBytes });
  const act = (outputs: DownloadOutput[], send: (request: CoapRequest) => void, nowMs: number): void => {
    for (const output of outputs) {
      if (output.kind === "request") send(output.request);
      else if (output.kind === "data") {
        parts.push(output.bytes);
        act(download.step({ kind: "taken" }, nowMs), send, nowMs);
      } else if (output.kind === "failed") assert.fail(`seed ${seed}: ${output.error.message}`);
      else if (output.kind === "finished") finished = true;
    }
  };
  const client = new Requester(seed, (response, send, nowMs) =>
    act(download.step({ kind: "response", response }, nowMs), send, nowMs),
  );
  const etag = { number: OPTION.etag, value: Uint8Array.of(1) };
  const server = serverNode(seed + 1, (request) => {
    const part = answerBlock(request, body.length, { maxBytes: 256, allowsBert: false });
    if (part === undefined) return createResponse(CODE.content, body, [etag]);
    const payload = body.subarray(part.offset, part.offset + part.length);
    return createResponse(CODE.content, payload, [etag, ...part.options]);
  });
  const link = new Link(roughLink(loss), seeded(seed + 2));
  link.add(client);
  link.add(server);
  act(download.step({ kind: "start" }, 0), (request) => client.send(request, (input) => link.feed(client, input)), 0);
  link.run(DAY_MS);
  assert.ok(finished, `seed ${seed}: not finished`);
  return concat(parts);
}

function push(seed: number, loss: number, body: Uint8Array, wishedBytes: number): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  const receptions = new Receptions<Uint8Array[]>({ receptions: 4, silenceMs: DAY_MS });
  const server = serverNode(seed + 1, (request) => {
    const block = findBlock(request.options, OPTION.block1);
    assert.ok(block, "every block says which one it is");
    const key = receptionKey("client", request);
    const before = receptions.find(key);
    const verdict = judgeBlock(before, block, request.payload);
    if (verdict === "gap") return createResponse(CODE.requestEntityIncomplete);
    const size = block.number === 0 ? Math.min(wishedBytes, block.sizeBytes) : block.sizeBytes;
    const echo = [blockOption(OPTION.block1, { ...block, sizeBytes: size })];
    const code = block.more ? CODE.continue : CODE.changed;
    if (verdict === "repeat") return createResponse(code, EMPTY, echo);
    if (verdict === "first" && before) receptions.remove(before);
    const reception = verdict === "next" && before ? before : receptions.add(key, [], 0);
    receptions.advance(reception, request.payload, 0);
    reception.owned.push(request.payload.slice());
    if (!block.more) bodies.push(concat(reception.owned));
    return createResponse(code, EMPTY, echo);
  });
  let finished = false;
  const upload = new BlockUpload(createRequest("put", "/fw"), body.length, { blockBytes: 512 });
  const act = (outputs: UploadOutput[], send: (request: CoapRequest) => void, nowMs: number): void => {
    for (const output of outputs) {
      if (output.kind === "request") send(output.request);
      else if (output.kind === "read") {
        const bytes = body.subarray(output.offset, output.offset + output.length);
        act(upload.step({ kind: "bytes", bytes }, nowMs), send, nowMs);
      } else if (output.kind === "failed") assert.fail(`seed ${seed}: ${output.error.message}`);
      else if (output.kind === "finished") finished = true;
    }
  };
  const client = new Requester(seed, (response, send, nowMs) =>
    act(upload.step({ kind: "response", response }, nowMs), send, nowMs),
  );
  const link = new Link(roughLink(loss), seeded(seed + 2));
  link.add(client);
  link.add(server);
  act(upload.step({ kind: "start" }, 0), (request) => client.send(request, (input) => link.feed(client, input)), 0);
  link.run(DAY_MS);
  assert.ok(finished, `seed ${seed}: not finished`);
  return bodies;
}

for (const [loss, seeds] of [
  [0, 50],
  [0.05, 150],
  [0.3, 200],
] as const) {
  test(`RFC 7959 §2.4: a pull over a link that loses ${loss * 100} %, repeats and reorders, brings exactly the body (${seeds} seeds)`, () => {
    for (let seed = 0; seed < seeds; seed += 1) {
      const body = bytesOf(1 + ((seed * 37) % 3_000));
      const blockBytes = [undefined, 16, 64, 1024][seed % 4];
      assert.deepEqual(
        pull(seed * 10, loss, body, body.length > 500 && blockBytes === 16 ? 128 : blockBytes),
        body,
        `seed ${seed}`,
      );
    }
  });

  test(`RFC 7959 §2.5: a push over a link that loses ${loss * 100} %, repeats and reorders, is one update of exactly the body (${seeds} seeds)`, () => {
    for (let seed = 0; seed < seeds; seed += 1) {
      const body = bytesOf(513 + ((seed * 41) % 3_000));
      assert.deepEqual(push(seed * 10, loss, body, [512, 64, 256][seed % 3] ?? 512), [body], `seed ${seed}`);
    }
  });
}
