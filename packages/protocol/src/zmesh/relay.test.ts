import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { decodeFrame, encodeFrame, type Frame } from "./frame.ts";
import { DEFAULT_ECHO_MS, Relay } from "./relay.ts";

const keys = { networkKey: new Uint8Array(16).fill(3), crypto: zmeshCrypto };
const base: Frame = {
  kind: "content",
  ttl: 2,
  isProxied: false,
  name: new Uint8Array(6).fill(0xfe),
  fseq: 7,
  payload: new Uint8Array(48).fill(1),
};
const frame = (changes: Partial<Frame> = {}) => encodeFrame({ ...base, ...changes }, keys);

test("§5: a frame travels as many relays as its TTL says, unchanged but for the TTL", () => {
  let bytes: Uint8Array | undefined = frame();
  const heard: number[] = [];
  for (let hop = 0; bytes && hop < 9; hop += 1) {
    const seen = decodeFrame(bytes, keys);
    heard.push(seen.ttl);
    assert.deepEqual({ ...seen, ttl: base.ttl }, base);
    bytes = new Relay(keys).take(bytes, hop * 15);
  }
  assert.deepEqual(heard, [2, 1, 0]);
});

test("§5: three relays that all hear each other send a frame on once each", () => {
  const relays = [1, 2, 3].map(() => new Relay(keys));
  const onAir: Uint8Array[] = [frame({ ttl: 7 })];
  let sentCount = 0;
  for (let nowMs = 0; onAir.length > 0; nowMs += 15) {
    const bytes = onAir.shift() ?? assert.fail();
    for (const relay of relays) {
      const relayed = relay.take(bytes, nowMs);
      if (relayed) onAir.push(relayed);
      if (relayed) sentCount += 1;
    }
  }
  assert.equal(sentCount, 3);
});

test("§5: one for each (name, SEQ) and kind; a repeat passes when the echoes are over", () => {
  const relay = new Relay(keys);
  assert.ok(relay.take(frame(), 0));
  assert.equal(relay.take(frame(), DEFAULT_ECHO_MS - 1), undefined);
  assert.ok(relay.take(frame({ fseq: 8 }), 1));
  assert.ok(relay.take(frame({ name: new Uint8Array(6).fill(1) }), 1));
  assert.ok(relay.take(frame({ kind: "interest" }), 1));
  assert.ok(relay.take(frame(), DEFAULT_ECHO_MS));
});

test("what a stranger sends is counted, not sent on, and does not stand in the genuine frame's way", () => {
  const relay = new Relay(keys);
  const strange = encodeFrame(base, { ...keys, networkKey: new Uint8Array(16) });
  assert.equal(relay.take(strange, 0), undefined);
  assert.equal(relay.take(new Uint8Array(4), 0), undefined);
  assert.deepEqual(
    [...relay.refusals.counts],
    [
      ["FRAME_MAC", 1],
      ["FRAME_LENGTH", 1],
    ],
  );
  assert.ok(relay.take(frame(), 1));
});

test("its memory is bounded, whatever comes", () => {
  const relay = new Relay(keys, { maxEchoes: 4 });
  for (let fseq = 0; fseq < 100; fseq += 1) assert.ok(relay.take(frame({ fseq }), 0));
  assert.ok(relay.echoCount <= 4);
});
