import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY } from "../lib/bytes.ts";
import { type Block, blockOption, findBlock } from "./block-option.ts";
import { BlockUpload, type BlockUploadOptions, type UploadOutput } from "./block-upload.ts";
import { CODE } from "./codes.ts";
import { type CoapRequest, createRequest, createResponse } from "./exchange.ts";
import { OPTION, optionUint, uintOption } from "./options.ts";

const BODY = Uint8Array.from({ length: 3_000 }, (_, i) => i * 7);

class Run {
  readonly core: BlockUpload;
  outputs: UploadOutput[];

  constructor(options: BlockUploadOptions = {}, body = BODY) {
    this.core = new BlockUpload(createRequest("put", "/fw"), body.length, options);
    this.outputs = this.#withBytes(this.core.step({ kind: "start" }, 0));
  }

  get request(): CoapRequest {
    const output = this.outputs.at(-1);
    return output?.kind === "request" ? output.request : assert.fail(`not a request but ${output?.kind}`);
  }

  get sent(): Block | undefined {
    return findBlock(this.request.options, OPTION.block1);
  }

  answer(code: number, block?: Partial<Block>): void {
    const echo =
      block && blockOption(OPTION.block1, { number: 0, more: true, sizeBytes: 1024, ...this.sent, ...block });
    const response = createResponse(code, EMPTY, echo ? [echo] : []);
    this.outputs = this.#withBytes(this.core.step({ kind: "response", response }, 0));
  }

  wake(nowMs: number): void {
    this.outputs = this.#withBytes(this.core.step({ kind: "wake" }, nowMs));
  }

  get failure(): string | undefined {
    const last = this.outputs.at(-1);
    return last?.kind === "failed" ? last.error.code : undefined;
  }

  #withBytes(outputs: UploadOutput[]): UploadOutput[] {
    const last = outputs.at(-1);
    if (last?.kind !== "read") return outputs;
    const bytes = BODY.subarray(last.offset, last.offset + last.length);
    return [...outputs.slice(0, -1), ...this.core.step({ kind: "bytes", bytes }, 0)];
  }
}

test("RFC 7959 §2.5: blocks go one by one, the first with Size1, the last without more; then the answer is final", () => {
  const run = new Run();
  assert.deepEqual(run.sent, { number: 0, more: true, sizeBytes: 1024 });
  assert.equal(optionUint(run.request.options, OPTION.size1), 3_000);
  run.answer(CODE.continue, {});
  assert.deepEqual(run.outputs[0], { kind: "acknowledged", bytes: 1_024 });
  assert.equal(optionUint(run.request.options, OPTION.size1), undefined);
  run.answer(CODE.continue, {});
  assert.deepEqual(run.sent, { number: 2, more: false, sizeBytes: 1024 });
  assert.equal(run.request.payload.length, 952);
  run.answer(CODE.changed, {});
  assert.equal(run.outputs.at(-1)?.kind, "finished");
});

test("a body that fits into one message is sent without a Block1 option, an empty one too", () => {
  for (const length of [0, 16, 1024]) {
    const run = new Run({}, BODY.subarray(0, length));
    assert.deepEqual([run.sent, run.request.payload.length], [undefined, length]);
    run.answer(CODE.changed);
    assert.equal(run.outputs.at(-1)?.kind, "finished");
  }
});

test("§2.3: an acknowledgement of a smaller size counts for the whole block; the numbers follow, down to 16", () => {
  const run = new Run();
  run.answer(CODE.continue, { sizeBytes: 256 });
  assert.deepEqual(run.sent, { number: 4, more: true, sizeBytes: 256 });
  run.answer(CODE.continue, { sizeBytes: 16 });
  assert.deepEqual(run.sent, { number: 80, more: true, sizeBytes: 16 });
  run.answer(CODE.continue, { sizeBytes: 512 });
  assert.deepEqual(run.sent, { number: 81, more: true, sizeBytes: 16 });
});

test("§2.9.3: 4.13 that names a smaller size starts over with it; any other 4.13 is a refusal", () => {
  const run = new Run();
  run.answer(CODE.requestEntityTooLarge, { sizeBytes: 64 });
  assert.deepEqual(run.outputs[0], { kind: "shrunk", blockBytes: 64 });
  assert.deepEqual(run.sent, { number: 0, more: true, sizeBytes: 64 });
  run.answer(CODE.requestEntityTooLarge, { sizeBytes: 64 });
  assert.equal(run.failure, "COAP_REFUSED");
});

test("§2.9.2: 4.08 starts over from the first block, a bounded number of times", () => {
  const run = new Run({ maxRestarts: 1 });
  run.answer(CODE.continue, {});
  run.answer(CODE.requestEntityIncomplete);
  assert.deepEqual([run.sent?.number, run.outputs[0]], [0, { kind: "acknowledged", bytes: 0 }]);
  run.answer(CODE.continue, {});
  run.answer(CODE.requestEntityIncomplete);
  assert.equal(run.failure, "COAP_REFUSED");
});

test("5.03 sends the same block again after Max-Age", () => {
  const run = new Run();
  run.answer(CODE.continue, {});
  const response = createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, 3)]);
  run.core.step({ kind: "response", response }, 100);
  assert.equal(run.core.wakeAtMs, 3_100);
  run.wake(3_100);
  assert.equal(run.sent?.number, 1);
});

test("a peer that takes a block for the whole body, or acknowledges another block, is found out", () => {
  const ignoring = new Run();
  ignoring.answer(CODE.changed);
  assert.equal(ignoring.failure, "BLOCK_IGNORED");
  const confused = new Run();
  confused.answer(CODE.continue, { number: 5 });
  assert.equal(confused.failure, "BLOCK_MISMATCH");
});

test("§2.3: a peer that answers each block 2.04 for itself gets the next one", () => {
  const run = new Run();
  run.answer(CODE.changed, { more: false });
  assert.equal(run.sent?.number, 1);
});

test("a body with more blocks than can be numbered is refused at once, or when the blocks get too small", () => {
  const tooLarge = () => new BlockUpload(createRequest("put", "/"), 2 ** 30 + 1);
  assert.throws(tooLarge, { name: "UsageError", code: "BODY_TOO_LARGE" });
});

test("§2.9.2: a transfer that broke off goes on behind what was taken; 4.08 makes it start over", () => {
  const run = new Run({ offset: 2_048 });
  assert.deepEqual(run.sent, { number: 2, more: false, sizeBytes: 1024 });
  run.answer(CODE.requestEntityIncomplete, {});
  assert.deepEqual(run.outputs[0], { kind: "acknowledged", bytes: 0 });
  assert.deepEqual(run.sent, { number: 0, more: true, sizeBytes: 1024 });
  const small = new Run({ offset: 640 });
  assert.deepEqual(small.sent, { number: 5, more: true, sizeBytes: 128 });
  for (const offset of [0, 7, 3_000, 9_000]) assert.equal(new Run({ offset }).sent?.number, 0);
});
