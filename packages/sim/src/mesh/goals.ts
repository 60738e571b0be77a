/** What a broadcast must reach, measured: one line a measure, beside its goal and what others publish. */
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { DEFAULT_RESERVE_SHARE } from "@airlift/protocol/zmesh/duty-ledger";
import { SUB_BANDS } from "@airlift/protocol/zmesh/regions";
import { hashedRow } from "@airlift/protocol/zmesh/repair-rows";
import { DEFAULT_SLOT_MS } from "@airlift/protocol/zmesh/transmitter-types";
import { seeded } from "../world.ts";
import { type BroadcastFigures, simulateBroadcast } from "./broadcast-figures.ts";
import { alwaysListeningJoules, sleepingJoules } from "./energy.ts";
import type { LossModel } from "./loss-model.ts";
import { randomTraffic } from "./random-traffic.ts";
import { countViolations } from "./sliding-window.ts";
import { replayWorstDevice, type WorstDevice } from "./worst-device.ts";

/** One measured line. */
export interface GoalLine {
  readonly measure: string;
  readonly ours: string;
  readonly goal: string;
  readonly isMet: boolean;
  readonly others: string;
}

/** One cell of the table of packets / K. */
export interface RatioLine {
  readonly loss: number;
  readonly deviceCount: number;
  /** Mean over the seeds, and the largest of them. */
  readonly ratio: number;
  readonly largest: number;
  /** Of an ideal erasure code on the same losses. */
  readonly ideal: number;
  readonly runCount: number;
}

export interface GoalReport {
  readonly seed: number;
  readonly ratios: readonly RatioLine[];
  readonly goals: readonly GoalLine[];
}

export interface GoalOptions {
  readonly seed: number;
  readonly crypto: ZmeshCrypto;
  /** Fewer repetitions and smaller crowds: seconds instead of a minute. */
  readonly isQuick: boolean;
  /** Called before each part. */
  progress?(part: string): void;
}

const K = 2000;
const PACKET_MS = airtimeMs(48);
/** The announced gap of a paced broadcast: nine times less than 10 % of the gap is on air. */
const PACED_GAP_MS = 1_000;
const LARGEST_CROWD = 10_000;

type Runs = readonly BroadcastFigures[];

/** Measures everything. Runs for about a minute unless it is quick. */
export function measureGoals(options: GoalOptions): GoalReport {
  const crowd = options.isQuick ? 1_000 : LARGEST_CROWD;
  const runs = new Map<string, Runs>();
  const ratios: RatioLine[] = [];
  for (const loss of [0.01, 0.05, 0.2]) {
    for (const deviceCount of [10, 100, 1_000, 10_000].filter((count) => count <= crowd)) {
      options.progress?.(`${deviceCount} devices at ${loss * 100} % loss`);
      const each = repeat({ kind: "independent", loss }, { deviceCount, dataCount: K }, options);
      runs.set(`${loss}/${deviceCount}`, each);
      ratios.push(ratioLine(loss, deviceCount, each));
    }
  }
  const largest = (loss: number) => runs.get(`${loss}/${crowd}`) ?? [];
  options.progress?.("bursts, the worst device, the ledger");
  const burstGoals = [1_000, crowd].filter(isFirst).map((deviceCount) => {
    const losses: LossModel = { kind: "bursty", loss: 0.05, burst: 5 };
    return burstGoal(repeat(losses, { deviceCount, dataCount: K }, options), deviceCount);
  });
  const small = [100, 1_000].map((deviceCount) =>
    airtimeGoal(repeat({ kind: "independent", loss: 0.05 }, { deviceCount, dataCount: 1_042 }, options), deviceCount),
  );
  const goals = [
    ...ratioGoals(largest),
    ...overheadGoals([0.01, 0.05, 0.2].flatMap(largest)),
    ...pollGoals([0.01, 0.05, 0.2].flatMap(largest), crowd),
    ...deviceGoals(largest(0.05), options.crypto),
    ...small,
    ...broadcastGoals(largest(0.05), crowd),
    dutyGoal(options),
    ...burstGoals,
  ];
  return { seed: options.seed, ratios, goals };
}

function repeat(
  losses: LossModel,
  size: { readonly deviceCount: number; readonly dataCount: number },
  { seed, isQuick }: GoalOptions,
): Runs {
  const isHeavy = size.deviceCount >= 10_000 && losses.kind === "independent" && losses.loss >= 0.2;
  const count = isHeavy ? 1 : size.deviceCount >= 10_000 ? 5 : isQuick ? 3 : size.deviceCount >= 1_000 ? 10 : 50;
  return Array.from({ length: count }, (_, i) =>
    simulateBroadcast({ ...size, losses, rows: hashedRow, seed: seed + 1_000_003 * i }),
  );
}

function ratioLine(loss: number, deviceCount: number, runs: Runs): RatioLine {
  return {
    loss,
    deviceCount,
    ratio: mean(runs.map(({ packetCount }) => packetCount / K)),
    largest: Math.max(...runs.map(({ packetCount }) => packetCount / K)),
    ideal: mean(runs.map(({ idealCount }) => idealCount / K)),
    runCount: runs.length,
  };
}

function ratioGoals(largest: (loss: number) => Runs): GoalLine[] {
  return (
    [
      [0.01, 1.025, "NACK repeats 2.64, carousel 4.06"],
      [0.05, 1.08, "NACK repeats 3.78, carousel 6.03"],
      [0.2, 1.31, "NACK repeats 6.58, carousel 10.93"],
    ] as const
  ).map(([loss, goal, others]) => {
    const ratio = mean(largest(loss).map(({ packetCount }) => packetCount / K));
    const measure = `packets / K until all are complete, ${loss * 100} % loss`;
    return { measure, ours: ratio.toFixed(4), goal: `≤ ${goal}`, isMet: ratio <= goal, others };
  });
}

function overheadGoals(runs: Runs): GoalLine[] {
  const all = runs.flatMap(({ overheads }) => overheads).sort((a, b) => a - b);
  const average = mean(all);
  const high = all[Math.floor(all.length * 0.99)] ?? 0;
  return [
    {
      measure: "code overhead in packets, mean",
      ours: `+${average.toFixed(2)}`,
      goal: "≤ +1.9",
      isMet: average <= 1.9,
      others: "TS004 +2",
    },
    {
      measure: "code overhead in packets, 99 of 100 devices",
      ours: `+${high}`,
      goal: "≤ +9",
      isMet: high <= 9,
      others: "TS004 +7",
    },
  ];
}

function pollGoals(runs: Runs, crowd: number): GoalLine[] {
  const polls = Math.max(...runs.map(({ pollCount }) => pollCount));
  const share = Math.max(...runs.map(({ answerCount }) => answerCount / crowd));
  return [
    {
      measure: "polls until the last device is complete, most of all runs",
      ours: `${polls}`,
      goal: "≤ 3",
      isMet: polls <= 3,
      others: "",
    },
    {
      measure: "answers to all polls, most of all runs",
      ours: `${(share * 100).toFixed(2)} % of N`,
      goal: "≤ 2.5 % of N",
      isMet: share <= 0.025,
      others: "1.05 million NACKs of chunks",
    },
  ];
}

function deviceGoals(runs: Runs, crypto: ZmeshCrypto): GoalLine[] {
  const worst = runs.reduce((a, b) => (b.worst.missing.length > a.worst.missing.length ? b : a)).worst;
  const device: WorstDevice = replayWorstDevice(worst, K, crypto);
  return [
    {
      measure: `decoder RAM of the worst device, ${device.missingCount} of ${K} missing`,
      ours: `${device.decoderRamBytes} bytes`,
      goal: "≤ 3072 bytes",
      isMet: device.isImageRight && device.decoderRamBytes <= 3072,
      others: "row cache 8.8 KB; Zephyr 14.7 KB for each 6 % of redundancy",
    },
    {
      measure: "words of the image programmed twice",
      ours: `${device.wordsProgrammed - device.wordsInImage}`,
      goal: "0",
      isMet: device.wordsProgrammed === device.wordsInImage,
      others: "in-place decoders rewrite",
    },
  ];
}

function airtimeGoal(runs: Runs, deviceCount: number): GoalLine {
  const seconds = mean(runs.map((run) => run.completeMs)) / 1000;
  return {
    measure: `50,000 bytes to ${deviceCount} devices at 50 kb/s and 5 % loss, airtime of all frames until the last is complete`,
    ours: `${seconds.toFixed(3)} s`,
    goal: "≤ 12.5 s",
    isMet: seconds <= 12.5,
    others: "30 s claimed for the family",
  };
}

function broadcastGoals(runs: Runs, crowd: number): GoalLine[] {
  const burstSeconds = Math.max(...runs.map((run) => run.airtimeMs)) / 1000;
  const slotsMs = Math.ceil(crowd * 0.04) * DEFAULT_SLOT_MS;
  const pacedMinutes =
    Math.max(...runs.map((run) => (run.packetCount + run.controlCount) * PACED_GAP_MS + run.pollCount * slotsMs)) /
    60_000;
  const packetCount = Math.max(...runs.map((run) => run.packetCount + run.controlCount));
  const listening = { packetCount, airtimeMs: PACKET_MS, gapMs: PACED_GAP_MS };
  const joules = sleepingJoules(listening);
  const scheduleMs = 5 * airtimeMs(47);
  return [
    {
      measure: `96 kB to ${crowd} devices, 868.0-868.6, one burst`,
      ours: `${burstSeconds.toFixed(1)} s`,
      goal: "≤ 30 s",
      isMet: burstSeconds <= 30,
      others: "LoRaWAN DR5 29 min at 10 %",
    },
    {
      measure: `the same, paced: a packet every ${PACED_GAP_MS} ms`,
      ours: `${pacedMinutes.toFixed(1)} min`,
      goal: "≤ 40 min",
      isMet: pacedMinutes <= 40,
      others: "LoRaWAN DR0 17 h",
    },
    {
      measure: "receiver energy, paced, asleep in the announced gaps",
      ours: `${joules.toFixed(2)} J`,
      goal: "≤ 1.5 J",
      isMet: joules <= 1.5,
      others: `${alwaysListeningJoules(listening).toFixed(0)} J always on; LoRaWAN class C DR5 86 J`,
    },
    {
      measure: "schedule for all devices: one group frame, sent five times",
      ours: `${scheduleMs.toFixed(0)} ms`,
      goal: "O(1)",
      isMet: true,
      others: "one downlink for each device: 109 s",
    },
  ];
}

/** Every sub-band in turn, 10⁶ packets in all. */
function dutyGoal({ seed, isQuick }: GoalOptions): GoalLine {
  const count = Math.ceil((isQuick ? 1e5 : 1e6) / SUB_BANDS.length);
  let violations = 0;
  for (const [i, { limit }] of SUB_BANDS.entries()) {
    const sent = randomTraffic(limit, count, seeded(seed + i));
    violations += countViolations(sent, limit, limit.budgetMs * (1 - DEFAULT_RESERVE_SHARE));
  }
  return {
    measure: `windows with too much airtime in ${count * SUB_BANDS.length} packets over all sub-bands, with restarts`,
    ours: `${violations}`,
    goal: "0",
    isMet: violations === 0,
    others: "",
  };
}

function burstGoal(runs: Runs, crowd: number): GoalLine {
  const ratio = mean(runs.map(({ packetCount }) => packetCount / K));
  const ideal = mean(runs.map(({ idealCount }) => idealCount / K));
  return {
    measure: `packets / K, ${crowd} devices, bursts of 5 in the mean at 5 % loss`,
    ours: `${ratio.toFixed(4)} (an ideal code on the same losses: ${ideal.toFixed(4)})`,
    goal: "≤ 1.12",
    isMet: ratio <= 1.12,
    others: "sequential blocks 1.305",
  };
}

const isFirst = (value: number, place: number, all: readonly number[]): boolean => all.indexOf(value) === place;

function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / Math.max(1, values.length);
}
