import assert from "node:assert/strict";
import { test } from "node:test";
import { answerBlock } from "./answer-block.ts";
import { blockOption, findBlock } from "./block-option.ts";
import { createRequest } from "./exchange.ts";
import { OPTION, optionUint, uintOption } from "./options.ts";

const datagrams = (maxBytes: number) => ({ maxBytes, allowsBert: false });

const get = (number?: number, sizeBytes = 64) =>
  createRequest("get", "/fw", {
    options: number === undefined ? [] : [blockOption(OPTION.block2, { number, more: false, sizeBytes })],
  });

test("RFC 7959 §2.4: a body that fits is sent whole, a larger one begins with its first block and Size2", () => {
  assert.equal(answerBlock(get(), 1024, datagrams(1024)), undefined);
  const first = answerBlock(get(), 1025, datagrams(1024)) ?? assert.fail();
  assert.deepEqual([first.offset, first.length], [0, 1024]);
  assert.deepEqual(findBlock(first.options, OPTION.block2), { number: 0, more: true, sizeBytes: 1024 });
  assert.equal(optionUint(first.options, OPTION.size2), 1025);
});

test("§2.3: the smaller of the two sizes is used, and the offset stays the one asked for", () => {
  const smaller = answerBlock(get(3, 1024), 5_000, datagrams(256)) ?? assert.fail();
  assert.deepEqual(findBlock(smaller.options, OPTION.block2), { number: 12, more: true, sizeBytes: 256 });
  const last = answerBlock(get(2, 16), 40, datagrams(1024)) ?? assert.fail();
  assert.deepEqual([last.offset, last.length, findBlock(last.options, OPTION.block2)?.more], [32, 8, false]);
});

test("§2.4: a block that was asked for is a block, also of a small or empty body", () => {
  assert.equal(answerBlock(get(0), 10, datagrams(1024))?.length, 10);
  assert.equal(answerBlock(get(0), 0, datagrams(1024))?.length, 0);
});

test("a block beyond the end is 4.02; §2.2: the reserved size exponent 7 is 4.00", () => {
  assert.throws(() => answerBlock(get(1), 64, datagrams(1024)), { facts: { status: "4.02" } });
  const unreadable = createRequest("get", "/", { options: [uintOption(OPTION.block2, 7)] });
  assert.throws(() => answerBlock(unreadable, 64, datagrams(1024)), { facts: { status: "4.00" } });
});
