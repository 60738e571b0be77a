import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat } from "../lib/bytes.ts";
import { answerBlock } from "./answer-block.ts";
import { BlockDownload, type DownloadOutput } from "./block-download.ts";
import { type Block, type BlockLimits, blockOption, findBlock, hasBlockLength } from "./block-option.ts";
import { BlockUpload, type UploadOutput } from "./block-upload.ts";
import { CODE } from "./codes.ts";
import { type CoapRequest, type CoapResponse, createRequest, createResponse } from "./exchange.ts";
import { OPTION } from "./options.ts";

const BODY = Uint8Array.from({ length: 10_000 }, (_, i) => i * 7);
const bert = (maxBytes: number): BlockLimits => ({ maxBytes, allowsBert: true });
const asking = (block?: Block): CoapRequest =>
  createRequest("get", "/fw", { options: block ? [blockOption(OPTION.block2, block)] : [] });
const group = (number: number, more = false): Block => ({ number, more, sizeBytes: 1024, isBert: true });

/** A server of `body` within `limits`. */
function serve(request: CoapRequest, body: Uint8Array, limits: BlockLimits): CoapResponse {
  const part = answerBlock(request, body.length, limits);
  if (part === undefined) return createResponse(CODE.content, body);
  return createResponse(CODE.content, body.subarray(part.offset, part.offset + part.length), part.options);
}

test("RFC 8323 §6: the size exponent 7 is read as blocks of 1024 octets over a reliable transport, and nowhere else", () => {
  const options = [blockOption(OPTION.block2, group(3, true))];
  assert.equal((options[0]?.value[0] ?? 0) & 7, 7);
  assert.deepEqual(findBlock(options, OPTION.block2, true), group(3, true));
  assert.throws(() => findBlock(options, OPTION.block2), { code: "BLOCK_FORMAT" });
});

test("§6: with more to come a group has a multiple of 1024 octets, at least one; the last has any number", () => {
  assert.deepEqual(
    [0, 1_000, 1_024, 3_072].map((n) => hasBlockLength(group(0, true), n)),
    [false, false, true, true],
  );
  assert.deepEqual(
    [0, 1_000, 5_000].map((n) => hasBlockLength(group(9), n)),
    [true, true, true],
  );
});

test("§6: a server answers in groups as large as the peer takes, and in blocks to who asks for blocks", () => {
  const first = answerBlock(asking(), BODY.length, bert(4_096)) ?? assert.fail();
  assert.deepEqual([first.offset, first.length], [0, 4_096]);
  assert.deepEqual(findBlock(first.options, OPTION.block2, true), group(0, true));
  const last = answerBlock(asking(group(8)), BODY.length, bert(4_096)) ?? assert.fail();
  assert.deepEqual([last.offset, last.length], [8_192, 1_808]);
  const small = answerBlock(asking({ number: 2, more: false, sizeBytes: 512 }), BODY.length, bert(4_096));
  assert.equal(small?.length, 512);
  assert.equal(answerBlock(asking(group(1)), BODY.length, bert(1_024))?.length, 1_024);
  assert.equal(answerBlock(asking(), 4_000, bert(4_096)), undefined);
});

/** Runs a download against `answer`; the octets, and every request. */
function pull(download: BlockDownload, answer: (request: CoapRequest) => CoapResponse) {
  const parts: Uint8Array[] = [];
  const requests: CoapRequest[] = [];
  let outputs: DownloadOutput[] = download.step({ kind: "start" }, 0);
  for (let steps = 0; steps < 2_000; steps += 1) {
    const last = outputs.at(-1) ?? assert.fail("nothing follows");
    if (last.kind === "finished" || last.kind === "failed") return { last, requests, body: concat(parts) };
    if (last.kind === "request") {
      requests.push(last.request);
      outputs = download.step({ kind: "response", response: answer(last.request) }, 0);
    } else if (last.kind === "data") {
      parts.push(last.bytes);
      outputs = download.step({ kind: "taken" }, 0);
    }
  }
  return assert.fail("never ends");
}

test("§6: a download is the body, whatever it begins with, in groups or blocks, and resumes inside a group", () => {
  const sizes = fc.constantFrom(1_024, 2_048, 3_072, 65_536);
  fc.assert(
    fc.property(sizes, sizes, fc.integer({ min: 0, max: BODY.length - 1 }), (ours, theirs, offset) => {
      const download = new BlockDownload(createRequest("get", "/fw"), { offset, limits: bert(ours) });
      const { last, body } = pull(download, (request) => serve(request, BODY, bert(theirs)));
      assert.equal(last.kind, "finished");
      assert.deepEqual(body, BODY.subarray(offset));
    }),
  );
});

test("§6: 64 KiB go in one exchange where blocks of 1024 take 64", () => {
  const large = new Uint8Array(1_048_576);
  const download = new BlockDownload(createRequest("get", "/fw"), { limits: bert(65_536) });
  const { requests, body } = pull(download, (request) => serve(request, large, bert(65_536)));
  assert.deepEqual([requests.length, body.length], [16, 1_048_576]);
});

test("§6: a group that was not asked for, of a wrong length or at a wrong place fails the download", () => {
  const wrong: [Block, number][] = [
    [group(1, true), 1_024],
    [group(0, true), 1_000],
    [group(0, true), 0],
  ];
  for (const [block, length] of wrong) {
    const response = createResponse(CODE.content, new Uint8Array(length), [blockOption(OPTION.block2, block)]);
    const { last } = pull(new BlockDownload(createRequest("get", "/"), { limits: bert(4_096) }), () => response);
    assert.equal(last.kind === "failed" && last.error.code, "BLOCK_MISMATCH");
  }
  const unasked = createResponse(CODE.content, new Uint8Array(2_048), [blockOption(OPTION.block2, group(0, true))]);
  const asked = new BlockDownload(createRequest("get", "/"), { limits: bert(4_096), blockBytes: 512 });
  const { last } = pull(asked, () => unasked);
  assert.equal(last.kind === "failed" && last.error.code, "BLOCK_MISMATCH");
});

/** Runs an upload against `answer`; the octets taken, and every request. */
function push(upload: BlockUpload, answer: (block: Block | undefined, request: CoapRequest) => CoapResponse) {
  const requests: CoapRequest[] = [];
  let outputs: UploadOutput[] = upload.step({ kind: "start" }, 0);
  for (let steps = 0; steps < 2_000; steps += 1) {
    const last = outputs.at(-1) ?? assert.fail("nothing follows");
    if (last.kind === "finished" || last.kind === "failed") return { last, requests };
    if (last.kind === "read") {
      const bytes = BODY.subarray(last.offset, last.offset + last.length);
      outputs = upload.step({ kind: "bytes", bytes }, 0);
    } else if (last.kind === "request") {
      requests.push(last.request);
      const block = findBlock(last.request.options, OPTION.block1, true);
      outputs = upload.step({ kind: "response", response: answer(block, last.request) }, 0);
    }
  }
  return assert.fail("never ends");
}

const taken = (block: Block | undefined): CoapResponse =>
  createResponse(
    block?.more ? CODE.continue : CODE.changed,
    undefined,
    block ? [blockOption(OPTION.block1, block)] : [],
  );

test("§6: an upload goes in groups numbered in blocks of 1024, and at once when it fits into one", () => {
  const { requests } = push(new BlockUpload(createRequest("put", "/"), BODY.length, { limits: bert(4_096) }), taken);
  const blocks = requests.map(({ options }) => findBlock(options, OPTION.block1, true));
  assert.deepEqual(blocks, [group(0, true), group(4, true), group(8)]);
  assert.deepEqual(
    requests.map(({ payload }) => payload.length),
    [4_096, 4_096, 1_808],
  );
  const whole = push(new BlockUpload(createRequest("put", "/"), BODY.length, { limits: bert(65_536) }), taken);
  assert.equal(whole.requests.length, 1);
});

test("§6: a peer that answers with blocks gets blocks from there on; one that refuses gets them from the start", () => {
  const options = { limits: bert(4_096) };
  const goesOn = push(new BlockUpload(createRequest("put", "/"), BODY.length, options), (block) =>
    taken(block?.isBert ? { ...block, sizeBytes: 512, isBert: undefined as never } : block),
  );
  const second = findBlock(goesOn.requests[1]?.options ?? [], OPTION.block1, true);
  assert.deepEqual(second, { number: 8, more: true, sizeBytes: 512 });
  assert.equal(goesOn.last.kind, "finished");
  const startsOver = push(new BlockUpload(createRequest("put", "/"), BODY.length, options), (block) =>
    block?.isBert
      ? createResponse(CODE.requestEntityTooLarge, undefined, [
          blockOption(OPTION.block1, { number: 0, more: false, sizeBytes: 1024 }),
        ])
      : taken(block),
  );
  assert.equal(startsOver.last.kind, "finished");
  assert.equal(concat(startsOver.requests.slice(1).map(({ payload }) => payload)).length, BODY.length);
});
