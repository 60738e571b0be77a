import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY, toHex } from "../lib/bytes.ts";
import { blockOffset, blockOption, blockSizeWithin, findBlock } from "./block-option.ts";
import {
  acceptableOptions,
  decodeUint,
  encodeUint,
  OPTION,
  optionUint,
  pathOptions,
  queryOptions,
  uintOption,
  uriPath,
  uriQuery,
} from "./options.ts";

test("RFC 7252 §3.2: an unsigned integer has its shortest form; zero is empty", () => {
  assert.deepEqual(
    [0, 1, 255, 256, 65_535, 65_536, 2 ** 24, 2 ** 32 - 1].map((value) => toHex(encodeUint(value))),
    ["", "01", "ff", "0100", "ffff", "010000", "01000000", "ffffffff"],
  );
  fc.assert(fc.property(fc.nat(0xffff_ffff), (value) => assert.equal(decodeUint(encodeUint(value)), value)));
  assert.equal(decodeUint(Uint8Array.of(0, 0, 7)), 7);
});

test("§6.4, §6.5: paths and queries become options and come back", () => {
  assert.deepEqual(uriPath(pathOptions("/rd/5a3f")), ["rd", "5a3f"]);
  assert.deepEqual(uriPath(pathOptions("/a%2Fb/%C3%BC")), ["a/b", "ü"]);
  assert.deepEqual(uriPath(pathOptions("/")), []);
  assert.deepEqual(uriQuery(queryOptions("ep=node&lt=300")), ["ep=node", "lt=300"]);
});

test("§5.4.1: an unknown critical option is named, an unknown elective one is left out", () => {
  const path = pathOptions("/a");
  assert.equal(acceptableOptions(path), path);
  assert.equal(acceptableOptions([...path, { number: 65_001, value: EMPTY }]), 65_001);
  assert.deepEqual(acceptableOptions([...path, { number: 65_000, value: EMPTY }]), path);
});

test("§5.4.3, §5.4.5: an impossible length and a repetition without leave count as unknown", () => {
  assert.equal(acceptableOptions([{ number: OPTION.ifMatch, value: new Uint8Array(9) }]), OPTION.ifMatch);
  assert.deepEqual(acceptableOptions([{ number: OPTION.etag, value: new Uint8Array(9) }]), []);
  const accept = uintOption(OPTION.accept, 60);
  assert.equal(acceptableOptions([accept, accept]), OPTION.accept);
  const maxAge = uintOption(OPTION.maxAge, 60);
  assert.deepEqual(acceptableOptions([maxAge, maxAge]), [maxAge]);
});

test("RFC 7959 §2.2: number, more and size exponent share up to three octets", () => {
  assert.equal(toHex(blockOption(OPTION.block2, { number: 0, more: false, sizeBytes: 16 }).value), "");
  assert.equal(toHex(blockOption(OPTION.block2, { number: 3, more: true, sizeBytes: 64 }).value), "3a");
  assert.equal(toHex(blockOption(OPTION.block2, { number: 0xfffff, more: true, sizeBytes: 1024 }).value), "fffffe");
  const block = fc.record({
    number: fc.nat(0xfffff),
    more: fc.boolean(),
    sizeBytes: fc.constantFrom(16, 32, 64, 128, 256, 512, 1024),
  });
  fc.assert(
    fc.property(block, ({ ...value }) =>
      assert.deepEqual(findBlock([blockOption(OPTION.block1, value)], OPTION.block1), value),
    ),
  );
  assert.equal(blockOffset({ number: 5, more: true, sizeBytes: 128 }), 640);
  assert.deepEqual([1, 16, 100, 1024, 5000].map(blockSizeWithin), [16, 16, 64, 1024, 1024]);
});

test("RFC 7959 §2.2: size exponent 7 and more than three octets are refused, as is a size that is none", () => {
  for (const value of [7, 0x100_0000])
    assert.throws(() => findBlock([uintOption(OPTION.block2, value)], OPTION.block2), { code: "BLOCK_FORMAT" });
  for (const sizeBytes of [0, 8, 48, 2048])
    assert.throws(() => blockOption(OPTION.block2, { number: 0, more: false, sizeBytes }), { code: "BLOCK_SIZE" });
  assert.throws(() => blockOption(OPTION.block2, { number: 2 ** 20, more: false, sizeBytes: 16 }), {
    code: "BLOCK_NUMBER",
  });
  assert.equal(optionUint([], OPTION.block2), undefined);
});
