/** The pieces a broadcast is made of: runs of messages, and polls. */
import { airtimeMs } from "./airtime.ts";
import { seqOfRepair } from "./chunking.ts";
import { COMMAND_BYTES } from "./command.ts";
import { COMMAND_TAG_BYTES } from "./command-channel.ts";
import { OPEN_LOOP_SHARE } from "./repair-plan.ts";
import type { BroadcastContent, Run } from "./transmitter-types.ts";

/** Begin and End are sent so often: at 5 % loss, one device in 8000 hears none. */
export const CONTROL_REPEATS = 3;
/** Slots of a poll, at least and at most. */
const SLOTS = { least: 16, most: 1024 } as const;

/** The messages from `first` to `last`. */
export const messages = (first: number, last: number): Run => ({ kind: "content", first, last });

const repeated = (seq: number, times: number): Run[] => Array.from({ length: times }, () => messages(seq, seq));

/** Begin as often as it takes, then all data. */
export const openingRuns = (dataCount: number): Run[] => [...repeated(0, CONTROL_REPEATS), messages(1, dataCount)];

export const endRuns = (dataCount: number, times: number): Run[] => repeated(dataCount + 1, times);

/** Begin and the first `count` chunks: who comes late does not know yet what is coming. */
export const headRun = (dataCount: number, count: number): Run => messages(0, Math.min(dataCount, count));

/** `count` parity chunks after number `last`. */
export const parityRun = (dataCount: number, last: number, count: number): Run =>
  messages(seqOfRepair(dataCount, last + 1), seqOfRepair(dataCount, last + count));

/** A poll with slots for twice the answers that are expected: most of them are alone in theirs. */
export function pollRun(deviceCount: number, slotMs: number): Run {
  const wanted = Math.ceil(2 * deviceCount * (1 - OPEN_LOOP_SHARE));
  return { kind: "poll", slotCount: Math.min(SLOTS.most, Math.max(SLOTS.least, wanted)), slotMs, leastDeficit: 1 };
}

/** A poll with no time to answer: devices that are not complete are to ask for packets themselves. */
export const INVITATION: Run = { kind: "poll", slotCount: 1, slotMs: 0, leastDeficit: 1 };

/** How long the frames of a content are on air. */
export class RunAirtimes {
  readonly dataMs: number;
  readonly #beginMs: number;
  readonly #endMs: number;
  readonly #pollMs: number;
  readonly #dataCount: number;

  constructor(content: BroadcastContent, rateBps: number | undefined) {
    const { dataCount, payloadBytes } = content;
    this.#dataCount = dataCount;
    this.dataMs = airtimeMs(payloadBytes, rateBps);
    this.#beginMs = airtimeMs(content.payloadAt(0).length, rateBps);
    this.#endMs = airtimeMs(content.payloadAt(dataCount + 1).length, rateBps);
    this.#pollMs = airtimeMs(COMMAND_BYTES.poll + COMMAND_TAG_BYTES, rateBps);
  }

  /** Of the longest frame. */
  get longestMs(): number {
    return Math.max(this.dataMs, this.#endMs, this.#pollMs);
  }

  /** Of a run's first message. */
  of(run: Run): number {
    if (run.kind === "poll") return this.#pollMs;
    if (run.first === 0) return this.#beginMs;
    return run.first === this.#dataCount + 1 ? this.#endMs : this.dataMs;
  }
}
