import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerGate } from "./peer-gate.ts";

test("of 1,000 requests a second a peer gets its rate, a few are answered, and the others are dropped", () => {
  const gate = new PeerGate({ requestsPerSecond: 100 });
  let taken = 0;
  for (let ms = 0; ms < 20_000; ms += 1) {
    if (gate.admits("bad", "request", ms)) taken += 1;
    else gate.mayAnswer("bad");
  }
  assert.ok(taken >= 2_400 && taken <= 2_500, `${taken}`);
  assert.ok(gate.refusedCount >= 70 && gate.refusedCount <= 105, `${gate.refusedCount}`);
  assert.equal(taken + gate.refusedCount + gate.droppedCount, 20_000);
});

test("what one peer uses up is not taken from another, nor the blocks of an image from its requests", () => {
  const gate = new PeerGate({ requestsPerSecond: 10, blocksPerSecond: 1_000 });
  for (let at = 0; at < 10_000; at += 1) gate.admits("bad", "request", 0);
  assert.ok(gate.admits("good", "request", 0));
  assert.ok(gate.admits("bad", "block", 0));
  for (let at = 0; at < 10_000; at += 1) gate.admits("bad", "block", 0);
  assert.ok(!gate.admits("bad", "block", 0));
  assert.ok(gate.admits("bad", "request", 10_000));
});

test("a stream that cannot be refused anything is read no faster than its rate", () => {
  const gate = new PeerGate({ requestsPerSecond: 100 });
  for (let at = 0; at < 500; at += 1) assert.equal(gate.paceMs("stream", "request", 0), 0);
  for (let at = 0; at < 99; at += 1) gate.paceMs("stream", "request", 0);
  assert.equal(gate.paceMs("stream", "request", 0), 1_000);
  assert.equal(gate.paceMs("stream", "request", 2_000), 0);
});

test("a flood is told at once, and then once a minute with its number", () => {
  const gate = new PeerGate({ requestsPerSecond: 1 });
  assert.equal(gate.takeNews("bad", 0), 0);
  for (let at = 0; at < 6; at += 1) gate.admits("bad", "request", 0);
  assert.equal(gate.takeNews("bad", 0), 1);
  for (let at = 0; at < 1_000; at += 1) gate.admits("bad", "request", 1);
  assert.equal(gate.takeNews("bad", 59_999), 0);
  assert.equal(gate.takeNews("bad", 60_000), 1_000);
});

test("a flood of addresses takes bounded room, and who goes on sending is not forgotten", () => {
  const gate = new PeerGate({ requestsPerSecond: 1, peerLimit: 100 });
  for (let at = 0; at < 20; at += 1) gate.admits("bad", "request", 0);
  for (let at = 0; at < 10_000; at += 1) {
    gate.admits(`forged ${at}`, "request", 0);
    if (at % 50 === 0) assert.ok(!gate.admits("bad", "request", 0));
  }
  assert.ok(gate.size <= 200, `${gate.size}`);
});
