/**
 * The network's end of a broadcast: sends all, then parity for almost everybody, then asks who is not complete and sends what
 * the worst of them needs, until nobody answers. It never sends before the ledger lets it, and saves before it sends.
 */
import type { Core } from "../lib/core.ts";
import { BugError } from "../lib/errors.ts";
import {
  CONTROL_REPEATS,
  endRuns,
  headRun,
  INVITATION,
  openingRuns,
  parityRun,
  pollRun,
  RunAirtimes,
} from "./broadcast-runs.ts";
import { largestRepair } from "./chunking.ts";
import { PollAnswers } from "./poll-answers.ts";
import { type LossAssumption, openLoopRepairs } from "./repair-plan.ts";
import {
  TRANSMITTER,
  type TransmitterAction,
  type TransmitterEvent,
  type TransmitterState,
} from "./transmitter-table.ts";
import {
  DEFAULT_MAX_POLLS,
  DEFAULT_PULL_QUIET_MS,
  DEFAULT_SLOT_MS,
  type Run,
  type Tally,
  type TransmitterInput,
  type TransmitterOptions,
  type TransmitterOutput,
  type TransmitterRecord,
} from "./transmitter-types.ts";

/** Packets that a restart may send again. */
export const PACKETS_PER_SAVE = 64;
/** Polls without an answer after which nobody is taken to be incomplete: an answer may have been lost. */
export const QUIET_POLLS = 2;
/** Packets that may wait to be sent to those who ask. */
export const MAX_WANTED = 4096;

const NO_TALLY: Tally = {
  controlCount: 0,
  dataCount: 0,
  repairCount: 0,
  pollCount: 0,
  answerCount: 0,
  airtimeMs: 0,
};

const START: TransmitterRecord = {
  state: "waiting",
  runs: [],
  lastRepair: 0,
  endCount: 0,
  pollCount: 0,
  quietCount: 0,
  tally: NO_TALLY,
};

export class Transmitter implements Core<TransmitterInput, TransmitterOutput> {
  readonly #options: TransmitterOptions;
  readonly #assumption: LossAssumption;
  #record: TransmitterRecord;
  #runs: Run[];
  #unsavedCount = PACKETS_PER_SAVE;
  readonly #airtimes: RunAirtimes;
  #outputs: TransmitterOutput[] = [];
  /** To the present poll. */
  readonly #answers = new PollAnswers();
  readonly #wanted = new Set<number>();
  /** When the next packet keeps the gap. */
  #paceAtMs: number;
  /** When all slots of the poll are over, or nobody has asked for long enough. */
  #patienceAtMs: number | undefined;

  /**
   * @param record Of an earlier run. What it sent since is sent again, with the same octets; a poll that was open is repeated.
   */
  constructor(options: TransmitterOptions, record: TransmitterRecord = START, nowMs: number = options.startAtMs) {
    this.#options = options;
    const { content, loss, clumping = 1 } = options;
    this.#assumption = { dataCount: content.dataCount, loss, clumping };
    this.#airtimes = new RunAirtimes(content, options.rateBps);
    this.#record = record;
    this.#runs = [...record.runs];
    this.#paceAtMs = Math.max(options.startAtMs, nowMs);
    if (record.state === "polling" && this.#runs.length === 0) this.#runs = [this.#poll()];
    if (record.state === "pulling") this.#patienceAtMs = nowMs + this.#pullQuietMs;
  }

  get state(): TransmitterState {
    return this.#record.state;
  }

  get tally(): Tally {
    return this.#record.tally;
  }

  get wakeAtMs(): number | undefined {
    const { state } = this.#record;
    if (state === "finished" || state === "cancelled") return undefined;
    if (state === "waiting") return this.#options.startAtMs;
    if (this.#runs.length > 0) return this.#sendAtMs();
    return this.#patienceAtMs ?? this.#paceAtMs;
  }

  step(input: TransmitterInput, nowMs: number): TransmitterOutput[] {
    switch (input.kind) {
      case "answer":
        this.#takeAnswer(input.device, input.deficit);
        break;
      case "interest":
        this.#takeInterest(input.seqs, nowMs);
        break;
      case "cancel":
        if (TRANSMITTER[this.state].cancel) this.#step("cancel", nowMs);
        break;
      case "wake":
        break;
    }
    this.#proceed(nowMs);
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  /** At most one packet a step: what is sent now begins now. */
  #proceed(nowMs: number): void {
    if (this.state === "waiting" && nowMs >= this.#options.startAtMs) this.#step("due", nowMs);
    if (this.state === "finished" || this.state === "cancelled" || this.state === "waiting") return;
    if (this.#runs.length > 0) {
      if (nowMs >= this.#sendAtMs()) this.#sendNext(nowMs);
      return;
    }
    if (this.state === "polling" || this.state === "pulling") {
      if (this.#patienceAtMs === undefined || nowMs < this.#patienceAtMs) return;
      this.#step(this.state === "polling" ? this.#verdict() : this.#arePollsUsedUp ? "quiet" : "unasked", nowMs);
    } else if (nowMs >= this.#paceAtMs) this.#step("sent", nowMs);
  }

  // Sending

  /** When the next packet may begin: not before the gap is over, and not before the law allows it. */
  #sendAtMs(): number {
    const run = this.#runs[0] as Run;
    return this.#options.ledger.earliestMs(this.#airtimes.of(run), this.#paceAtMs);
  }

  #sendNext(nowMs: number): void {
    const run = this.#runs[0] as Run;
    const airtime = this.#airtimes.of(run);
    if (this.#options.ledger.earliestMs(airtime, nowMs) > nowMs) return;
    if (this.#unsavedCount >= PACKETS_PER_SAVE) this.#save(nowMs);
    this.#options.ledger.book(nowMs, airtime);
    this.#paceAtMs = nowMs + Math.max(this.#options.gapMs, airtime);
    this.#unsavedCount += 1;
    if (run.kind === "poll") this.#sendPoll(run, airtime, nowMs);
    else this.#sendContent(run, airtime);
    // Who waited for this packet while the law held it back may ask for the next one.
    if (this.state === "pulling") this.#patienceAtMs = nowMs + this.#pullQuietMs;
  }

  #sendContent(run: Run & { kind: "content" }, airtime: number): void {
    const { content } = this.#options;
    const seq = run.first;
    if (seq === run.last) this.#runs.shift();
    else this.#runs[0] = { ...run, first: seq + 1 };
    this.#wanted.delete(seq);
    const { tally } = this.#record;
    this.#count(
      seq === 0 || seq === content.dataCount + 1
        ? { controlCount: tally.controlCount + 1 }
        : seq <= content.dataCount
          ? { dataCount: tally.dataCount + 1 }
          : { repairCount: tally.repairCount + 1 },
      airtime,
    );
    this.#outputs.push({ kind: "content", seq, payload: content.payloadAt(seq) });
  }

  #sendPoll(run: Run & { kind: "poll" }, airtime: number, nowMs: number): void {
    this.#runs.shift();
    this.#answers.clear();
    const { slotCount, slotMs, leastDeficit } = run;
    const slotsEndAtMs = nowMs + airtime + (slotCount + 1) * slotMs;
    this.#patienceAtMs = slotsEndAtMs;
    this.#paceAtMs = Math.max(this.#paceAtMs, slotMs === 0 ? 0 : slotsEndAtMs);
    const { lastRepair } = this.#record;
    this.#count({ pollCount: this.#record.tally.pollCount + 1 }, airtime);
    const { name } = this.#options.content;
    this.#outputs.push({ kind: "poll", poll: { name, lastRepair, slotCount, slotMs, leastDeficit } });
  }

  #count(change: Partial<Tally>, airtime: number): void {
    const { tally } = this.#record;
    this.#record = { ...this.#record, tally: { ...tally, ...change, airtimeMs: tally.airtimeMs + airtime } };
  }

  // What devices say

  #takeAnswer(device: string, deficit: number): void {
    if (this.state !== "polling" || deficit < 1 || !this.#answers.take(device, deficit)) return;
    const { tally } = this.#record;
    this.#record = { ...this.#record, tally: { ...tally, answerCount: tally.answerCount + 1 } };
  }

  #takeInterest(seqs: readonly number[], nowMs: number): void {
    if (this.state !== "pulling") return;
    this.#patienceAtMs = nowMs + this.#pullQuietMs;
    for (const seq of seqs) {
      if (this.#wanted.has(seq) || this.#wanted.size >= MAX_WANTED) continue;
      if (!Number.isInteger(seq) || seq < 0 || seq > this.#options.content.dataCount + 1) continue;
      this.#wanted.add(seq);
      this.#runs.push({ kind: "content", first: seq, last: seq });
    }
  }

  /** What follows from the poll whose slots are over. */
  #verdict(): TransmitterEvent {
    const { quietCount, wereInvited = false, lastRepair } = this.#record;
    if (this.#answers.count === 0) return quietCount + 1 >= QUIET_POLLS ? "settled" : "unanswered";
    if (this.#arePollsUsedUp) return "exhausted";
    if (this.#usesRepair)
      return this.#answers.remedy(this.#assumption, { sentRepairs: lastRepair, canPull: !wereInvited });
    // A plain receiver's deficit says how many it misses and not which: only asking tells, or sending all once more.
    return !wereInvited && this.#answers.total < this.#assumption.dataCount ? "needsPull" : "needsHead";
  }

  get #arePollsUsedUp(): boolean {
    return this.#record.pollCount >= (this.#options.maxPolls ?? DEFAULT_MAX_POLLS);
  }

  get #usesRepair(): boolean {
    return this.#options.usesRepair ?? true;
  }

  // State

  #step(event: TransmitterEvent, nowMs: number): void {
    const arrow = TRANSMITTER[this.state][event];
    if (arrow === undefined)
      throw new BugError("TRANSMITTER_EVENT", `no arrow for ${event}`, { state: this.state, event });
    const quietCount = event === "unanswered" || event === "settled" ? this.#record.quietCount + 1 : 0;
    this.#record = { ...this.#record, state: arrow.to, quietCount };
    this.#patienceAtMs = undefined;
    for (const action of arrow.actions) this.#act(action);
    this.#save(nowMs);
    if (this.#record.state === "finished" || this.#record.state === "cancelled")
      this.#outputs.push({ kind: "ended", outcome: this.#record.state, tally: this.#record.tally });
  }

  #act(action: TransmitterAction): void {
    switch (action) {
      case "sendAll":
        this.#runs = this.#everything();
        break;
      case "sendPoll":
        this.#record = { ...this.#record, pollCount: this.#record.pollCount + 1 };
        this.#runs = [this.#poll()];
        break;
      case "sendParity":
        this.#runs = [
          ...this.#parity(this.#answers.repairs(this.#assumption, this.#record.lastRepair)),
          ...this.#owedEnds(1),
        ];
        break;
      case "sendHead":
        this.#runs = [this.#head(), ...this.#owedEnds(1)];
        break;
      case "invitePull":
        this.#record = { ...this.#record, wereInvited: true };
        this.#runs = [INVITATION];
        break;
      case "sendEnd":
        this.#runs = this.#owedEnds(CONTROL_REPEATS);
        break;
      case "stop":
        this.#runs = [];
        break;
      case "tell":
        break;
    }
  }

  #everything(): Run[] {
    const all = [...openingRuns(this.#assumption.dataCount), ...this.#owedEnds(1)];
    if (this.#usesRepair) all.push(...this.#parity(openLoopRepairs(this.#assumption)));
    // End comes again after the parity: what one burst of losses takes, the other does not.
    return [...all, ...this.#owedEnds(1)];
  }

  #head(): Run {
    const { dataCount } = this.#assumption;
    return headRun(dataCount, this.#usesRepair ? this.#answers.largest : dataCount);
  }

  /** So much parity, or what is left of the numbers for it. */
  #parity(wantedCount: number): Run[] {
    const { lastRepair } = this.#record;
    const { dataCount } = this.#assumption;
    const count = Math.min(wantedCount, largestRepair(dataCount) - lastRepair);
    if (count <= 0) return [];
    this.#record = { ...this.#record, lastRepair: lastRepair + count };
    return [parityRun(dataCount, lastRepair, count)];
  }

  /** Up to so many of the copies of End that are still owed. */
  #owedEnds(times: number): Run[] {
    const { endCount } = this.#record;
    const count = Math.max(0, Math.min(times, CONTROL_REPEATS - endCount));
    this.#record = { ...this.#record, endCount: endCount + count };
    return endRuns(this.#assumption.dataCount, count);
  }

  #poll(): Run {
    return pollRun(this.#options.deviceCount, this.#options.slotMs ?? DEFAULT_SLOT_MS);
  }

  get #pullQuietMs(): number {
    return this.#options.pullQuietMs ?? DEFAULT_PULL_QUIET_MS;
  }

  #save(nowMs: number): void {
    this.#record = { ...this.#record, runs: [...this.#runs] };
    this.#unsavedCount = 0;
    const aheadMs = PACKETS_PER_SAVE * this.#airtimes.longestMs;
    this.#outputs.push({ kind: "save", record: this.#record, ledger: this.#options.ledger.record(nowMs, aheadMs) });
  }
}
