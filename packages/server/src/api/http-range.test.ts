import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answerRange } from "./http-range.ts";

const etag = '"0123456789abcdef"';
const of = (range: string, sizeBytes = 1000) => answerRange({ range }, etag, sizeBytes);
const part = (start: number, end: number) => ({ kind: "part", start, end });

test("RFC 9110 §14.1.2: closed, open and suffix ranges", () => {
  assert.deepEqual(of("bytes=0-0"), part(0, 0));
  assert.deepEqual(of("bytes=500-"), part(500, 999));
  assert.deepEqual(of("bytes=-1"), part(999, 999));
  assert.deepEqual(of("bytes=-5000"), part(0, 999));
  assert.deepEqual(of("bytes=900-5000"), part(900, 999));
  assert.deepEqual(of("BYTES= 1-2 "), part(1, 2));
});

test("RFC 9110 §15.5.17: a range that begins behind the end, or a suffix of nothing, cannot be satisfied", () => {
  for (const range of ["bytes=1000-", "bytes=1000-1001", "bytes=-0"])
    assert.deepEqual(of(range), { kind: "unsatisfiable" }, range);
});

test("RFC 9110 §14.2: other units, malformed ranges and several parts get the whole", () => {
  for (const range of ["lines=1-2", "bytes=2-1", "bytes=-", "bytes=a-b", "bytes=0-1,4-5", "bytes", ""])
    assert.deepEqual(of(range), { kind: "whole" }, range);
});

test("RFC 9110 §13.1.5: If-Range keeps the range only for the same strong tag", () => {
  const with_ = (ifRange: string) => answerRange({ range: "bytes=1-2", ifRange }, etag, 10).kind;
  assert.equal(with_(etag), "part");
  for (const other of ['"other"', `W/${etag}`, "Sat, 01 Nov 2025 00:00:00 GMT"]) assert.equal(with_(other), "whole");
});

test("lesson 9, RFC 9110 §13.1.1: If-Match compares strongly, and comes before everything else", () => {
  const kind = (ifMatch: string) => answerRange({ ifMatch, range: "bytes=99-" }, etag, 10).kind;
  for (const tags of [`W/${etag}`, '"other"', ""]) assert.equal(kind(tags), "preconditionFailed", tags);
  for (const tags of ["*", etag, `"a", ${etag}`]) assert.equal(kind(tags), "unsatisfiable", tags);
});

test("RFC 9110 §13.1.2: If-None-Match compares weakly", () => {
  assert.equal(answerRange({ ifNoneMatch: `W/${etag}` }, etag, 10).kind, "notModified");
  assert.equal(answerRange({ ifNoneMatch: '"other"' }, etag, 10).kind, "whole");
});

test("whatever is asked for lies inside the whole", () => {
  const header = fc.oneof(fc.string(), fc.stringMatching(/^bytes=\d{0,17}-\d{0,17}$/));
  fc.assert(
    fc.property(header, fc.integer({ min: 1, max: 2 ** 31 }), (range, sizeBytes) => {
      const answer = of(range, sizeBytes);
      if (answer.kind === "part") assert.ok(answer.start >= 0 && answer.start <= answer.end && answer.end < sizeBytes);
    }),
  );
});
