/** What a broadcast takes: seconds on air, seconds by the clock, joules. */
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { CONTROL_REPEATS } from "@airlift/protocol/zmesh/broadcast-runs";
import { COMMAND_BYTES } from "@airlift/protocol/zmesh/command";
import { COMMAND_TAG_BYTES } from "@airlift/protocol/zmesh/command-channel";
import { BLOCK_DIGEST_BYTES, BLOCK_PAYLOADS } from "@airlift/protocol/zmesh/manifest";
import { BEGIN_BYTES, END_BYTES } from "@airlift/protocol/zmesh/messages";
import { DEFAULT_SLOT_MS } from "@airlift/protocol/zmesh/transmitter-types";
import type { BroadcastFigures } from "./broadcast-figures.ts";
import { alwaysListeningJoules, sleepingJoules } from "./energy.ts";
import { type GoalLine, mean } from "./goal-line.ts";

const PACKET_BYTES = 48;
const PACKET_MS = airtimeMs(PACKET_BYTES);
/** The announced gap of a paced broadcast: nine times less than 10 % of the gap is on air. */
const PACED_GAP_MS = 1_000;
const SCHEDULE_MS = airtimeMs(COMMAND_BYTES.schedule + COMMAND_TAG_BYTES);
const SCHEDULE_REPEATS = 5;
/** Of a signed manifest, besides the digests of its blocks: the fields of an ordinary device and the signature. */
const MANIFEST_SHELL_BYTES = 158;

type Runs = readonly BroadcastFigures[];

/** Crowds of devices, each with its broadcasts. */
export interface Crowd {
  readonly deviceCount: number;
  readonly runs: Runs;
}

/** What an image of 50,000 bytes takes on air, and the same with what must go before it. */
export function airtimeGoals(crowds: readonly Crowd[], dataCount: number): GoalLine[] {
  return crowds.flatMap(({ deviceCount, runs }) => {
    const seconds = mean(runs.map((run) => run.completeMs)) / 1000;
    const what = `50,000 bytes to ${deviceCount} devices at 50 kb/s and 5 % loss`;
    return [
      airtimeGoal(`${what}, airtime of Begin, data, End, parity and polls until the last is complete`, seconds),
      airtimeGoal(
        `${what}, with the schedules and the signed manifest before it`,
        seconds + preludeMs(dataCount) / 1000,
      ),
    ];
  });
}

/** A group's schedule for the manifest and one for the image, and the manifest itself, without any parity. */
export function preludeMs(dataCount: number): number {
  const manifestBytes = MANIFEST_SHELL_BYTES + BLOCK_DIGEST_BYTES * Math.ceil(dataCount / BLOCK_PAYLOADS);
  const controlMs = CONTROL_REPEATS * (airtimeMs(BEGIN_BYTES) + airtimeMs(END_BYTES));
  return 2 * SCHEDULE_REPEATS * SCHEDULE_MS + controlMs + Math.ceil(manifestBytes / PACKET_BYTES) * PACKET_MS;
}

function airtimeGoal(measure: string, seconds: number): GoalLine {
  const ours = `${seconds.toFixed(3)} s`;
  return { measure, ours, goal: "≤ 12.5 s", isMet: seconds <= 12.5, others: "30 s claimed for the family" };
}

/** What 96 kB cost a crowd: on air, by the clock, and a receiver's battery. */
export function broadcastGoals(runs: Runs, crowd: number): GoalLine[] {
  const burstSeconds = Math.max(...runs.map((run) => run.airtimeMs)) / 1000;
  const slotsMs = Math.ceil(crowd * 0.04) * DEFAULT_SLOT_MS;
  const clockSeconds = Math.max(...runs.map((run) => run.completeMs + run.pollCount * slotsMs)) / 1000;
  const pacedMinutes =
    Math.max(...runs.map((run) => (run.packetCount + run.controlCount) * PACED_GAP_MS + run.pollCount * slotsMs)) /
    60_000;
  const packetCount = Math.max(...runs.map((run) => run.packetCount + run.controlCount));
  const listening = { packetCount, airtimeMs: PACKET_MS, gapMs: PACED_GAP_MS };
  const joules = sleepingJoules(listening);
  const scheduleMs = SCHEDULE_REPEATS * SCHEDULE_MS;
  return [
    {
      measure: `96 kB to ${crowd} devices, 868.0-868.6, one burst, airtime`,
      ours: `${burstSeconds.toFixed(1)} s`,
      goal: "≤ 30 s",
      isMet: burstSeconds <= 30,
      others: "LoRaWAN DR5 29 min at 10 %",
    },
    {
      measure: `96 kB to ${crowd} devices, one burst, by the clock until the last is complete, slots of polls included`,
      ours: `${clockSeconds.toFixed(1)} s`,
      goal: "≤ 30 s",
      isMet: clockSeconds <= 30,
      others: "",
    },
    {
      measure: `the same, paced: a packet every ${PACED_GAP_MS} ms`,
      ours: `${pacedMinutes.toFixed(1)} min`,
      goal: "≤ 40 min",
      isMet: pacedMinutes <= 40,
      others: "LoRaWAN DR0 17 h",
    },
    {
      measure: "receiver energy, paced, asleep in the announced gaps and in slots",
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
