import assert from "node:assert/strict";
import { test } from "node:test";
import { countViolations, type OnAir } from "@airlift/sim/mesh/sliding-window";
import { seeded } from "@airlift/sim/world";
import { airtimeMs, gapMs } from "./airtime.ts";
import { LARGEST_DATA_COUNT } from "./chunking.ts";
import { DutyLedger, type LedgerRecord } from "./duty-ledger.ts";
import { subBandNamed } from "./regions.ts";
import { openLoopRepairs } from "./repair-plan.ts";
import { Transmitter } from "./transmitter.ts";
import type {
  TransmitterInput,
  TransmitterOptions,
  TransmitterOutput,
  TransmitterRecord,
} from "./transmitter-types.ts";

const K = 40;
const limit = subBandNamed("868.0-868.6")?.limit ?? assert.fail();
const content = {
  name: new Uint8Array(6).fill(0xfe),
  dataCount: K,
  payloadBytes: 48,
  payloadAt: (seq: number) => new Uint8Array(seq === 0 ? 12 : seq === K + 1 ? 40 : 48),
};

interface Sent {
  readonly atMs: number;
  readonly output: TransmitterOutput;
}

function options(changes: Partial<TransmitterOptions> = {}): TransmitterOptions {
  return {
    content,
    ledger: new DutyLedger(limit),
    startAtMs: 1_000,
    gapMs: 100,
    loss: 0.05,
    deviceCount: 10,
    ...changes,
  };
}

/** Wakes the transmitter whenever it wants, until nothing more happens, answering each poll as told. */
function play(core: Transmitter, answers: readonly (readonly number[])[] = [], untilMs = 1e9): Sent[] {
  const sent: Sent[] = [];
  const feed = (input: TransmitterInput, atMs: number) => {
    for (const output of core.step(input, atMs)) {
      sent.push({ atMs, output });
      if (output.kind !== "poll") continue;
      const poll = sent.filter((each) => each.output.kind === "poll").length - 1;
      for (const [i, deficit] of (answers[poll] ?? []).entries())
        feed({ kind: "answer", device: `d${i}`, deficit }, atMs);
    }
  };
  for (let steps = 0; core.wakeAtMs !== undefined && core.wakeAtMs <= untilMs; steps += 1) {
    assert.ok(steps < 10_000, "still busy");
    feed({ kind: "wake" }, core.wakeAtMs);
  }
  return sent;
}

const seqsOf = (sent: readonly Sent[]) => sent.flatMap(({ output }) => (output.kind === "content" ? [output.seq] : []));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const openLoop = openLoopRepairs({ dataCount: K, loss: 0.05 });
const firstPass = [0, 0, 0, ...range(1, K), K + 1, ...range(K + 2, K + 1 + openLoop), K + 1];

test("§1, §8: Begin ×3, all data, End, parity for almost all, End, two polls that nobody answers, End for the third time", () => {
  const core = new Transmitter(options());
  const sent = play(core);
  assert.deepEqual(seqsOf(sent), [...firstPass, K + 1]);
  assert.equal(sent.filter(({ output }) => output.kind === "poll").length, 2);
  assert.equal(core.state, "finished");
  assert.deepEqual(sent.at(-1)?.output.kind, "ended");
});

test("§1: the first Begin goes out at Update Time, not before", () => {
  const [first] = play(new Transmitter(options())).filter(({ output }) => output.kind === "content");
  assert.equal(first?.atMs, 1_000);
});

test("§7: packets keep the announced gap, which is what flash, relays and the operator need", () => {
  const sent = play(new Transmitter(options())).filter(({ output }) => output.kind === "content");
  for (const [i, { atMs }] of sent.slice(1).entries()) assert.ok(atMs - (sent[i]?.atMs ?? 0) >= 100);
  assert.equal(airtimeMs(48), 11.04);
  assert.equal(airtimeMs(96), 18.72);
  assert.equal(gapMs({ flashMs: 5, hopMs: 0, leastGapMs: 0 }, 11.04), 16.04);
  assert.equal(gapMs({ flashMs: 5, hopMs: 15, leastGapMs: 0 }, 11.04), 45);
  assert.equal(gapMs({ flashMs: 0, hopMs: 0, leastGapMs: 1_000 }, 11.04), 1_000);
});

test("§7: it waits for the law, also when others have used it up", () => {
  const ledger = new DutyLedger(limit);
  ledger.book(0, 32_399);
  const sent = play(new Transmitter(options({ ledger, startAtMs: 40_000 }))).filter(
    ({ output }) => output.kind === "content",
  );
  assert.ok((sent[0]?.atMs ?? 0) >= 3_600_000);
});

test("§8: the next parity is max deficit / (1 − p) + 2, and numbers go on", () => {
  const sent = play(new Transmitter(options({ loss: 0.2 })), [[7, 7, 7]]);
  const open = openLoopRepairs({ dataCount: K, loss: 0.2 });
  const after = seqsOf(sent).filter((seq) => seq > K + 1 + open);
  // 40 + open packets, of which seven more than the parity were lost.
  const loss = Math.max(0.2, (open + 7) / (K + open));
  assert.deepEqual(after, range(K + 2 + open, K + 1 + open + Math.ceil(7 / (1 - loss)) + 2));
});

test("§8 tail: when few need little, they are invited to ask, and get what they ask for", () => {
  const core = new Transmitter(options());
  const sent = play(core, [[2]], 20_000);
  assert.equal(core.state, "pulling");
  const invitation = sent.findLast(({ output }) => output.kind === "poll")?.output;
  assert.ok(invitation?.kind === "poll" && invitation.poll.slotMs === 0);
  const outputs = core.step({ kind: "interest", seqs: [3, 9, 3, 99, -1] }, 20_000);
  const asked = [...outputs.map((output) => ({ atMs: 20_000, output })), ...play(core)];
  assert.deepEqual(seqsOf(asked), [3, 9, K + 1]);
});

test("§8 tail: who is invited and cannot ask answers the next poll, gets parity, and is not invited again", () => {
  const core = new Transmitter(options());
  const sent = play(core, [[2], [], [2], [1]]);
  const invitations = sent.filter(({ output }) => output.kind === "poll" && output.poll.slotMs === 0);
  assert.equal(invitations.length, 1);
  const after = sent.filter(({ atMs }) => atMs > (invitations[0]?.atMs ?? 0));
  const parity = seqsOf(after).filter((seq) => seq > K + 1);
  assert.deepEqual(parity, range(K + 2 + openLoop, K + 1 + openLoop + parity.length));
  // The deficit of 2, then that of 1, each with what the assumed loss takes and two more.
  assert.equal(parity.length, Math.ceil(2 / 0.95) + 2 + Math.ceil(1 / 0.95) + 2);
  assert.equal(core.state, "finished");
});

test("§8 tail: for plain receivers that cannot ask, all goes out again", () => {
  const sent = play(new Transmitter(options({ usesRepair: false })), [[3], [], [3]]);
  assert.deepEqual(seqsOf(sent).slice(3 + K + 2, -1), range(0, K));
});

test("§8 late joiners: the head they missed goes out again, not more parity", () => {
  const sent = play(new Transmitter(options({ deviceCount: 3 })), [[30, 31]]);
  const open = openLoopRepairs({ dataCount: K, loss: 0.05 });
  assert.deepEqual(seqsOf(sent).slice(firstPass.length), [...range(0, 31), K + 1]);
  assert.ok(Math.max(...seqsOf(sent)) === K + 1 + open);
});

test("a crowd that never gets complete does not hold the band for ever", () => {
  const core = new Transmitter(options({ maxPolls: 4 }));
  play(
    core,
    Array.from({ length: 50 }, () => [9, 9, 9]),
  );
  assert.equal(core.state, "finished");
  assert.ok(core.tally.pollCount <= 5);
});

test("a cancel stops it at once", () => {
  const core = new Transmitter(options());
  play(core, [], 3_000);
  const outputs = core.step({ kind: "cancel" }, 3_001);
  assert.deepEqual(
    outputs.map(({ kind }) => kind),
    ["save", "ended"],
  );
  assert.equal(core.wakeAtMs, undefined);
  assert.deepEqual(core.step({ kind: "wake" }, 5_000), []);
});

test("for plain receivers there is no parity; who misses chunks asks for them", () => {
  const sent = play(new Transmitter(options({ usesRepair: false })));
  assert.equal(Math.max(...seqsOf(sent)), K + 1);
});

test("plain receivers say how many chunks they miss and not which: few are asked to ask, for many all goes out again", () => {
  const few = new Transmitter(options({ usesRepair: false }));
  play(few, [[3, 3, 3]], 20_000);
  assert.equal(few.state, "pulling");
  const many = seqsOf(play(new Transmitter(options({ usesRepair: false })), [[14, 14, 14]]));
  assert.deepEqual(many.slice(3 + K + 2, -1), range(0, K));
});

test("an early or repeated wake changes nothing", () => {
  const core = new Transmitter(options());
  assert.deepEqual(core.step({ kind: "wake" }, 0), []);
  play(core, [], 2_000);
  const { wakeAtMs = 0 } = core;
  assert.deepEqual(core.step({ kind: "wake" }, wakeAtMs - 1), []);
  assert.equal(core.wakeAtMs, wakeAtMs);
});

test("a restart anywhere goes on from what was saved: nothing is skipped, no more than 64 packets come again", () => {
  for (let killAfter = 1; killAfter < 60; killAfter += 1) {
    const seen: number[] = [];
    let stored: TransmitterRecord | undefined;
    let nowMs = 0;
    const take = (sent: readonly Sent[]) => {
      for (const { atMs, output } of sent) {
        nowMs = atMs;
        if (output.kind === "save") stored = output.record;
        else if (output.kind === "content") seen.push(output.seq);
      }
    };
    take(play(new Transmitter(options()), [], 1_000 + killAfter * 100));
    const before = seen.length;
    take(play(new Transmitter(options(), stored, nowMs + 5_000)));
    for (const seq of firstPass) assert.ok(seen.includes(seq), `killed after ${killAfter}: ${seq} was never sent`);
    assert.ok(seen.length <= firstPass.length + 3 + Math.min(64, before), `killed after ${killAfter}`);
  }
});

test("§7: killed at random points on a band that is almost full, it keeps the law over all its lives, and octets stay the same", () => {
  const narrow = { windowMs: 60_000, budgetMs: 600, offMs: 0 };
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = seeded(seed);
    const sent: OnAir[] = [];
    let stored: { record: TransmitterRecord; ledger: LedgerRecord } | undefined;
    let nowMs = 1_000;
    let isEnded = false;
    for (let life = 0; !isEnded && life < 200; life += 1) {
      const ledger = new DutyLedger(narrow);
      if (stored) ledger.restore(stored.ledger, nowMs);
      const core = new Transmitter(options({ ledger, gapMs: 12 }), stored?.record, nowMs);
      const diesAtMs = life < 6 ? nowMs + random() * 90_000 : Number.POSITIVE_INFINITY;
      while (core.wakeAtMs !== undefined && core.wakeAtMs < diesAtMs) {
        nowMs = Math.max(nowMs, core.wakeAtMs);
        for (const output of core.step({ kind: "wake" }, nowMs)) {
          if (output.kind === "save") stored = output;
          else if (output.kind === "content")
            sent.push({ startMs: nowMs, airtimeMs: airtimeMs(output.payload.length) });
          else if (output.kind === "poll") sent.push({ startMs: nowMs, airtimeMs: airtimeMs(22) });
          else isEnded = true;
        }
      }
      if (!isEnded) nowMs = diesAtMs + random() * 2_000;
    }
    assert.ok(isEnded, `seed ${seed} never ends`);
    assert.equal(countViolations(sent, narrow, 540), 0, `seed ${seed}`);
  }
});

test("§1: no parity is sent that SEQ has no number for", () => {
  const dataCount = LARGEST_DATA_COUNT;
  const large = { ...content, dataCount };
  const record: TransmitterRecord = {
    state: "streaming",
    runs: [],
    lastRepair: 0,
    endCount: 3,
    pollCount: 0,
    quietCount: 0,
    tally: new Transmitter(options()).tally,
  };
  const sent = play(new Transmitter(options({ content: large }), record, 1_000), [
    [9, 9, 9],
    [9, 9, 9],
  ]);
  assert.deepEqual(seqsOf(sent), [2 ** 24 - 1]);
});

test("§8 tail: while the law holds back what was asked for, nobody is taken to have had enough", () => {
  const narrow = { windowMs: 60_000, budgetMs: 30, offMs: 0 };
  const record: TransmitterRecord = {
    ...{ state: "pulling", runs: [], lastRepair: 5, endCount: 3, pollCount: 1, quietCount: 0 },
    tally: new Transmitter(options()).tally,
  };
  const core = new Transmitter(options({ ledger: new DutyLedger(narrow), pullQuietMs: 30_000 }), record, 1_000);
  core.step({ kind: "interest", seqs: range(1, 9) }, 1_000);
  let nowMs = 0;
  const seen: number[] = [];
  while (seen.length < 8 && core.wakeAtMs !== undefined) {
    nowMs = core.wakeAtMs;
    seen.push(...seqsOf(core.step({ kind: "wake" }, nowMs).map((output) => ({ atMs: nowMs, output }))));
  }
  core.step({ kind: "wake" }, nowMs + 1_000);
  assert.equal(core.state, "pulling");
  assert.ok(nowMs > 60_000);
  assert.equal(core.wakeAtMs, nowMs + 30_000);
});
