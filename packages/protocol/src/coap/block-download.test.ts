import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY } from "../lib/bytes.ts";
import { BlockDownload, type BlockDownloadOptions, type DownloadOutput } from "./block-download.ts";
import { type Block, blockOption, findBlock } from "./block-option.ts";
import { CODE } from "./codes.ts";
import { type CoapRequest, createRequest, createResponse } from "./exchange.ts";
import { type CoapOption, OPTION, uintOption } from "./options.ts";

const BODY = Uint8Array.from({ length: 3_000 }, (_, i) => i * 7);
const etagOption = (value: number): CoapOption => ({ number: OPTION.etag, value: Uint8Array.of(value) });

/** A server that sends at most `sizeBytes` a block. */
const block = (number: number, sizeBytes: number, options: CoapOption[] = [etagOption(1)], body = BODY) => {
  const end = Math.min((number + 1) * sizeBytes, body.length);
  const option = blockOption(OPTION.block2, { number, more: end < body.length, sizeBytes });
  return createResponse(CODE.content, body.subarray(number * sizeBytes, end), [...options, option]);
};

class Run {
  readonly core: BlockDownload;
  outputs: DownloadOutput[];

  constructor(options: BlockDownloadOptions = {}) {
    this.core = new BlockDownload(createRequest("get", "/fw"), options);
    this.outputs = this.core.step({ kind: "start" }, 0);
  }

  get asked(): Block | undefined {
    return findBlock(this.request.options, OPTION.block2);
  }

  get request(): CoapRequest {
    const output = this.outputs.at(-1);
    return output?.kind === "request" ? output.request : assert.fail(`not a request but ${output?.kind}`);
  }

  /** The octets it gave out, which are taken at once. */
  answer(response: ReturnType<typeof createResponse>): Uint8Array {
    this.outputs = this.core.step({ kind: "response", response }, 0);
    const last = this.outputs.at(-1);
    if (last?.kind !== "data") return EMPTY;
    this.outputs = this.core.step({ kind: "taken" }, 0);
    return last.bytes;
  }

  get failure(): string | undefined {
    const last = this.outputs.at(-1);
    return last?.kind === "failed" ? last.error.code : undefined;
  }
}

test("RFC 7959 §2.4: the first request has no Block2 option; a server may begin block-wise itself", () => {
  const run = new Run();
  assert.equal(run.asked, undefined);
  assert.equal(run.answer(block(0, 256)).length, 256);
  assert.deepEqual(run.asked, { number: 1, more: false, sizeBytes: 256 });
});

test("§2.3: a server may answer with smaller blocks, at the start and in the middle; the numbers follow", () => {
  const run = new Run({ blockBytes: 1024 });
  assert.deepEqual(run.asked, { number: 0, more: false, sizeBytes: 1024 });
  run.answer(block(0, 512));
  assert.deepEqual(run.asked, { number: 1, more: false, sizeBytes: 512 });
  assert.equal(run.answer(block(32, 16)).length, 16);
  assert.deepEqual(run.asked, { number: 33, more: false, sizeBytes: 16 });
});

test("a body that fits into one response needs no block; an empty one gives no data", () => {
  for (const payload of [BODY.subarray(0, 40), EMPTY]) {
    const run = new Run();
    assert.deepEqual(run.answer(createResponse(CODE.content, payload)), payload);
    assert.deepEqual(run.outputs.at(-1), { kind: "finished", sizeBytes: payload.length, etag: undefined });
  }
});

test("a resumed download asks for the block its offset lies in and gives only what is new", () => {
  const run = new Run({ offset: 1_500, etag: Uint8Array.of(1) });
  assert.deepEqual(run.asked, { number: 1, more: false, sizeBytes: 1024 });
  assert.deepEqual(run.answer(block(1, 1024)), BODY.subarray(1_500, 2_048));
  assert.deepEqual(run.answer(block(2, 1024)), BODY.subarray(2_048));
  const halved = new Run({ offset: 1_500, etag: Uint8Array.of(1) });
  assert.equal(halved.answer(block(4, 256)).length, 0);
  assert.deepEqual(halved.asked, { number: 5, more: false, sizeBytes: 256 });
  assert.deepEqual(halved.answer(block(5, 256)), BODY.subarray(1_500, 1_536));
});

test("a resumed download of a server that knows no blocks skips what is held", () => {
  const run = new Run({ offset: 10 });
  assert.deepEqual(run.answer(createResponse(CODE.content, BODY.subarray(0, 30))), BODY.subarray(10, 30));
});

test("§2.4: once a block had an ETag, another one, none, or one that comes late is ETAG_CHANGED", () => {
  for (const [first, second] of [
    [[etagOption(1)], [etagOption(2)]],
    [[etagOption(1)], []],
    [[], [etagOption(1)]],
  ] as const) {
    const run = new Run();
    run.answer(block(0, 64, [...first]));
    run.answer(block(1, 64, [...second]));
    assert.equal(run.failure, "ETAG_CHANGED");
  }
  const resumed = new Run({ offset: 64, etag: Uint8Array.of(9) });
  resumed.answer(block(0, 1024));
  assert.equal(resumed.failure, "ETAG_CHANGED");
});

test("another block than asked for, a larger one or one of a wrong length is BLOCK_MISMATCH", () => {
  const short = block(1, 64);
  for (const response of [
    block(2, 64),
    block(0, 128),
    { ...short, payload: short.payload.subarray(1) },
    createResponse(CODE.content, EMPTY, [etagOption(1)]),
  ]) {
    const run = new Run();
    run.answer(block(0, 64));
    run.answer(response);
    assert.equal(run.failure, "BLOCK_MISMATCH");
  }
});

test("a body above the limit fails by its Size2 option, or when it grows too long", () => {
  const announced = new Run({ maxBytes: 1_000 });
  announced.answer(block(0, 64, [uintOption(OPTION.size2, 3_000)]));
  assert.equal(announced.failure, "BODY_TOO_LARGE");
  const silent = new Run({ maxBytes: 100 });
  silent.answer(block(0, 64));
  silent.answer(block(1, 64));
  assert.equal(silent.failure, "BODY_TOO_LARGE");
});

test("an error code is a CoapRefusal; 5.03 is asked again after Max-Age, a bounded number of times", () => {
  const gone = new Run();
  gone.answer(createResponse(CODE.notFound));
  assert.equal(gone.failure, "COAP_REFUSED");
  const busy = createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, 7)]);
  const run = new Run({ busy: { maxRetries: 2, maxWaitMs: 5_000 } });
  for (let i = 1; i <= 2; i += 1) {
    run.answer(busy);
    assert.equal(run.core.wakeAtMs, 5_000);
    assert.deepEqual(run.core.step({ kind: "wake" }, 4_999), []);
    run.outputs = run.core.step({ kind: "wake" }, 5_000);
    assert.ok(run.request);
  }
  run.answer(busy);
  assert.equal(run.failure, "COAP_REFUSED");
});
