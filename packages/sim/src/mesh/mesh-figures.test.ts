import assert from "node:assert/strict";
import { test } from "node:test";
import { ChunkSet } from "@airlift/protocol/zmesh/chunk-set";
import { REPAIR_SCHEME } from "@airlift/protocol/zmesh/messages";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { repairRows } from "@airlift/protocol/zmesh/repair-rows";
import { StripedDecoder } from "@airlift/protocol/zmesh/striped-decoder";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { seeded } from "../world.ts";
import { preludeMs } from "./airtime-goals.ts";
import { simulateBroadcast } from "./broadcast-figures.ts";
import { planBroadcast } from "./broadcast-plan.ts";
import { alwaysListeningJoules, sleepingJoules } from "./energy.ts";
import { clumpingOf, type LossModel, openChannel } from "./loss-model.ts";
import { RowColumns } from "./row-columns.ts";
import { replayWorstDevice } from "./worst-device.ts";

const subBand = subBandNamed("868.0-868.6") ?? assert.fail();

/** Rows that the real decoder keeps, when it hears the received ones in order. */
function keptByDecoder(chunkCount: number, missing: readonly number[], received: readonly number[]): number[] {
  const chunks = new ChunkSet(chunkCount);
  for (let chunk = 1; chunk <= chunkCount; chunk += 1) if (!missing.includes(chunk)) chunks.add(chunk);
  const kept: number[] = [];
  const decoder = new StripedDecoder({
    chunks,
    rows: repairRows(REPAIR_SCHEME.hashedRows, chunkCount),
    payloadBytes: 8,
    maxMissing: 448,
    store: {
      readChunkWord: () => undefined,
      get parityCount() {
        return kept.length;
      },
      parityRow: (place) => kept[place] ?? assert.fail(),
      readParityWord: () => undefined,
      appendParity: (n) => kept.push(n) > 0,
    },
  });
  for (const n of received) decoder.addParity(n, new Uint8Array(8));
  return kept;
}

test("the fast simulation and the decoder agree on every row that is innovative", () => {
  const rows = repairRows(REPAIR_SCHEME.hashedRows, 120);
  const columns = new RowColumns(rows, 120, 90);
  for (let seed = 1; seed <= 100; seed += 1) {
    const random = seeded(seed);
    const missing = Array.from({ length: 120 }, (_, i) => i + 1).filter(() => random() < 0.3);
    const bits = new Uint32Array(columns.wordCount);
    const received = Array.from({ length: 90 }, (_, i) => i + 1).filter(() => random() < 0.8);
    for (const n of received) bits[(n - 1) >>> 5] = (bits[(n - 1) >>> 5] ?? 0) | (1 << ((n - 1) & 31));
    assert.deepEqual(columns.innovativeRows(missing, bits), keptByDecoder(120, missing, received), `seed ${seed}`);
  }
});

test("§10: 1000 devices at 5 % loss: near the limit, few polls, few answers, and the worst device decodes in 3 KB", () => {
  const losses: LossModel = { kind: "independent", loss: 0.05 };
  const run = { dataCount: 2000, deviceCount: 1000, losses, rows: repairRows(REPAIR_SCHEME.hashedRows, 2000), seed: 7 };
  const figures = simulateBroadcast(run);
  assert.deepEqual(simulateBroadcast(run), figures, "a seed repeats a run");
  assert.ok(figures.packetCount / 2000 <= 1.08);
  assert.ok(figures.packetCount - figures.idealCount <= 12);
  assert.ok(figures.pollCount <= 3 && figures.answerCount <= 40, `${figures.pollCount} ${figures.answerCount}`);
  const worst = replayWorstDevice(figures.worst, 2000, zmeshCrypto);
  assert.ok(worst.isImageRight && worst.decoderRamBytes <= 3072, JSON.stringify(worst));
  assert.equal(worst.wordsProgrammed, worst.wordsInImage);
});

test("loss models lose what they say, in runs as long as they say", () => {
  for (const model of [
    { kind: "independent", loss: 0.05 },
    { kind: "bursty", loss: 0.05, burst: 5 },
    { kind: "bursty", loss: 0.2, burst: 10 },
  ] as const) {
    const isLost = openChannel(model, seeded(3));
    let [lostCount, runCount, wasLost] = [0, 0, false];
    for (let i = 0; i < 400_000; i += 1) {
      const lost = isLost();
      if (lost) lostCount += 1;
      if (lost && !wasLost) runCount += 1;
      wasLost = lost;
    }
    assert.ok(Math.abs(lostCount / 400_000 / model.loss - 1) < 0.04, `${JSON.stringify(model)}: ${lostCount}`);
    if (model.kind === "bursty") assert.ok(Math.abs(lostCount / runCount / model.burst - 1) < 0.04);
  }
  assert.equal(clumpingOf({ kind: "independent", loss: 0.05 }), 1);
  // Memory 1 − 1/5 − (1/5)(0.05/0.95) = 0.789: (1 + 0.789) / (1 − 0.789).
  assert.ok(Math.abs(clumpingOf({ kind: "bursty", loss: 0.05, burst: 5 }) - 8.5) < 0.01);
});

test("§7: 96 kB cost a receiver 1.45 J asleep in the gaps, 114 J always on", () => {
  const listening = { packetCount: 2160, airtimeMs: 11.04, gapMs: 1_110 };
  assert.equal(sleepingJoules(listening).toFixed(2), "1.46");
  assert.equal(alwaysListeningJoules(listening).toFixed(0), "114");
});

test("§6: before an image of 125 chunks go two schedules, five times each, and a manifest of 4 chunks", () => {
  const [schedule, begin, end, chunk] = [47, 12, 40, 48].map((bytes) => (8 * (6 + 15 + bytes)) / 50) as [
    number,
    number,
    number,
    number,
  ];
  assert.ok(Math.abs(preludeMs(125) - (10 * schedule + 3 * (begin + end) + 4 * chunk)) < 1e-6);
});

test("§7, §10: the plan of 96 kB to 10,000 devices: 24 s of air in one burst, more than an hour where only 0.1 % is allowed", () => {
  const input = { imageBytes: 96_000, deviceCount: 10_000, loss: 0.05, rateBps: 50_000, mtuBytes: 48 };
  const plan = planBroadcast({ ...input, subBand });
  assert.ok(Math.abs(plan.airtimeMs - 23_850) < 150, `${plan.airtimeMs}`);
  assert.ok(plan.packetCount / 2000 < 1.08 && plan.budgetShare < 1 && plan.durationMs < 45_000);
  const narrow = planBroadcast({ ...input, subBand: subBandNamed("868.7-869.2") ?? assert.fail() });
  assert.ok(narrow.durationMs > 6 * 3_600_000 && narrow.budgetShare > 7);
  // Who listens through the waits for the law pays for each hour of them.
  assert.ok(Math.abs(narrow.listeningJoules - (narrow.durationMs * 47.5) / 1e6) < 1);
  assert.throws(() => planBroadcast({ ...input, subBand, imageBytes: 48 * (2 ** 24 - 2) }), { code: "IMAGE_SIZE" });
  const paced = planBroadcast({ ...input, subBand, gapMs: 1_000 });
  assert.ok(paced.sleepingJoules <= 1.5 && paced.durationMs < 40 * 60_000);
});
