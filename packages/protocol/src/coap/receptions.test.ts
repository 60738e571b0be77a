import assert from "node:assert/strict";
import { test } from "node:test";
import { createRequest } from "./exchange.ts";
import { uintOption } from "./options.ts";
import { judgeBlock, Receptions, receptionKey } from "./receptions.ts";

const block = (number: number, more = true) => ({ number, more, sizeBytes: 16 });
const payload = (fill: number) => new Uint8Array(16).fill(fill);

test("RFC 7959 §2.5: blocks in order are next, the latest one again is a repeat, a missing one is a gap", () => {
  const receptions = new Receptions<null>({ receptions: 1, silenceMs: 100 });
  assert.equal(judgeBlock(undefined, block(1), payload(1)), "gap");
  assert.equal(judgeBlock(undefined, block(0), payload(0)), "first");
  const reception = receptions.add("key", null, 0);
  assert.equal(judgeBlock(reception, block(0), payload(0)), "first");
  receptions.advance(reception, payload(0), 1);
  assert.equal(judgeBlock(reception, block(0), payload(0)), "repeat", "a retransmitted first block is no new body");
  assert.equal(judgeBlock(reception, block(0), payload(9)), "first", "but another first block is");
  assert.equal(judgeBlock(reception, block(2), payload(2)), "gap");
  assert.equal(judgeBlock(reception, block(1), payload(1)), "next");
  receptions.advance(reception, payload(1), 2);
  assert.equal(judgeBlock(reception, block(1), payload(1)), "repeat");
  assert.equal(judgeBlock(reception, block(0), payload(0)), "first");
  assert.equal(
    judgeBlock(reception, { ...block(1), sizeBytes: 32 }, payload(2)),
    "next",
    "sizes may change on the way",
  );
});

test("a client that falls silent is given up; the table has a limit", () => {
  const receptions = new Receptions<string>({ receptions: 1, silenceMs: 100 });
  const reception = receptions.add("key", "mine", 0);
  assert.ok(receptions.isFull);
  receptions.advance(reception, payload(0), 50);
  assert.deepEqual(receptions.expire(149), []);
  assert.equal(receptions.wakeAtMs, 150);
  assert.deepEqual(receptions.expire(150), [reception]);
  assert.equal(receptions.size, 0);
});

test("§2.5: a body that is complete takes no room, and is remembered for its last block to come again", () => {
  const receptions = new Receptions<null>({ receptions: 1, silenceMs: 100 });
  const complete = receptions.add("a", null, 0);
  receptions.advance(complete, payload(0), 0);
  receptions.finish(complete);
  assert.equal(receptions.isFull, false);
  assert.equal(judgeBlock(receptions.find("a"), block(0, false), payload(0)), "repeat");
  receptions.finish(receptions.add("b", null, 50));
  assert.equal(receptions.find("a"), undefined);
  assert.deepEqual(receptions.expire(150), []);
  assert.equal(receptions.find("b"), undefined);
});

test("§2.5: parts of one body are known by peer, method and target", () => {
  const key = receptionKey("a", createRequest("put", "/5/0/0"));
  assert.equal(key, receptionKey("a", createRequest("put", "/5/0/0", { options: [uintOption(12, 42)] })));
  assert.notEqual(key, receptionKey("b", createRequest("put", "/5/0/0")));
  assert.notEqual(key, receptionKey("a", createRequest("post", "/5/0/0")));
  assert.notEqual(key, receptionKey("a", createRequest("put", "/5/0/1")));
});
