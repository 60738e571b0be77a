import assert from "node:assert/strict";
import { test } from "node:test";
import { Reliability, type ReliabilityOutput } from "./reliability.ts";
import {
  checkTransmission,
  DEFAULT_TRANSMISSION,
  exchangeLifetimeMs,
  maxTransmitSpanMs,
  maxTransmitWaitMs,
  nonLifetimeMs,
} from "./transmission.ts";

function verdicts(random: number): [number, ReliabilityOutput<string>["kind"]][] {
  const core = new Reliability<string>(() => random);
  core.step({ kind: "sent", key: "a", parameters: DEFAULT_TRANSMISSION }, 0);
  const log: [number, ReliabilityOutput<string>["kind"]][] = [];
  for (let atMs = core.wakeAtMs; atMs !== undefined; atMs = core.wakeAtMs)
    for (const output of core.step({ kind: "wake" }, atMs)) log.push([atMs / 1000, output.kind]);
  return log;
}

test("RFC 7252 §4.2: with the largest first timeout, repeats at 3, 9, 21, 45 s and gives up at 93 s", () => {
  assert.deepEqual(verdicts(1), [
    [3, "retransmit"],
    [9, "retransmit"],
    [21, "retransmit"],
    [45, "retransmit"],
    [93, "noAnswer"],
  ]);
});

test("§4.2: with the smallest, repeats at 2, 6, 14, 30 s and gives up at 62 s", () => {
  assert.deepEqual(
    verdicts(0).map(([atS]) => atS),
    [2, 6, 14, 30, 62],
  );
});

test("§4.8.2: the times derived from the defaults are those of table 3", () => {
  const times = [maxTransmitSpanMs, maxTransmitWaitMs, exchangeLifetimeMs, nonLifetimeMs];
  assert.deepEqual(
    times.map((timeOf) => timeOf(DEFAULT_TRANSMISSION) / 1000),
    [45, 93, 247, 145],
  );
});

test("§4.2: what is settled is not repeated; an early or a late wake makes no burst", () => {
  const core = new Reliability<string>(() => 0);
  core.step({ kind: "sent", key: "a", parameters: DEFAULT_TRANSMISSION }, 0);
  core.step({ kind: "sent", key: "b", parameters: DEFAULT_TRANSMISSION }, 0);
  core.step({ kind: "settled", key: "a" }, 10);
  assert.deepEqual(core.step({ kind: "wake" }, 1_999), []);
  assert.deepEqual(core.step({ kind: "wake" }, 100_000), [{ kind: "retransmit", key: "b", retransmissionCount: 1 }]);
  assert.equal(core.wakeAtMs, 104_000);
  core.step({ kind: "settled", key: "b" }, 100_001);
  assert.equal(core.wakeAtMs, undefined);
});

test("§4.8.1: parameters out of range are refused", () => {
  for (const wrong of [{ ackTimeoutMs: 0 }, { ackRandomFactor: 0.5 }, { maxRetransmit: -1 }, { maxRetransmit: 1.5 }])
    assert.throws(() => checkTransmission({ ...DEFAULT_TRANSMISSION, ...wrong }), { code: "COAP_TRANSMISSION" });
});
