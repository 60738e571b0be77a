/**
 * The device's end of a broadcast: waits for its time, takes what comes, answers polls, asks for what is missing when nobody
 * sends any more, and installs what it has verified.
 */
import { equalBytes } from "../lib/bytes.ts";
import type { Core } from "../lib/core.ts";
import { BugError, EnvironmentError, PeerError } from "../lib/errors.ts";
import type { FirmwareResult } from "../update/firmware-update.ts";
import { AnswerSlot } from "./answer-slot.ts";
import { tagBytesOf } from "./chunking.ts";
import type { Poll } from "./command.ts";
import { ContentCipher } from "./content-cipher.ts";
import type { ContentProfile, ExpectedContent } from "./content-proof.ts";
import { type Reading, readContent } from "./content-reading.ts";
import { AT_ONCE, NEVER } from "./instant.ts";
import type { End } from "./messages.ts";
import { ReceiverClock } from "./receiver-clock.ts";
import {
  RECEIVER,
  type ReceiverEvent,
  type ReceiverState,
  type ReceptionFailure,
  STATUS_OF,
} from "./receiver-table.ts";
import {
  DEFAULT_RECEIVER_TIMING,
  type ReceiverInput,
  type ReceiverOptions,
  type ReceiverOutput,
  type ReceiverRecord,
  type ReceiverStatus,
  type ReceiverTiming,
} from "./receiver-types.ts";
import { Reception } from "./reception.ts";
import { RequestPacer } from "./request-pacer.ts";
import type { Schedule } from "./schedule.ts";
import { LARGEST_DEFICIT, type StatusDetail } from "./status-event.ts";

export class Receiver implements Core<ReceiverInput, ReceiverOutput> {
  readonly #options: ReceiverOptions;
  readonly #timing: ReceiverTiming;
  readonly #pacer: RequestPacer;
  #record: ReceiverRecord;
  #reception: Reception | undefined;
  #outputs: ReceiverOutput[] = [];
  readonly #clock: ReceiverClock;
  readonly #answer: AnswerSlot;

  /** @param record Of an earlier run; then `clock` comes before its deadlines can be met. */
  constructor(options: ReceiverOptions, record: ReceiverRecord = { state: "idle", result: "initial" }, nowMs = 0) {
    this.#options = options;
    this.#timing = { ...DEFAULT_RECEIVER_TIMING, ...options.timing };
    this.#pacer = new RequestPacer(this.#timing, options.random);
    this.#answer = new AnswerSlot(options.random);
    this.#record = record;
    this.#clock = new ReceiverClock(this.#timing, nowMs);
    if (record.state === "pulling") this.#pacer.begin(nowMs);
    if (record.isClearing === true) this.#prepare();
    else if (record.profile) this.#reception = this.#openReception("recovered");
    if (this.#lacksEnd) this.#pacer.begin(nowMs);
    if (this.#reception && record.end) this.#believe(record.end.imageDigest);
  }

  get state(): ReceiverState {
    return this.#record.state;
  }

  get result(): FirmwareResult {
    return this.#record.result;
  }

  /** What is being received, for a look. */
  get reception(): Reception | undefined {
    return this.#reception;
  }

  get wakeAtMs(): number | undefined {
    const times = [this.#answer.dueAtMs, this.#stateDeadlineMs()].filter((atMs) => atMs !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /** Where it stands with a content that it was told of again; of one that has ended it says how. Changes nothing. */
  standing(name: Uint8Array): ReceiverStatus {
    const isOver = this.state === "idle" && this.#record.result === "success";
    return this.#status(isOver ? "confirmed" : STATUS_OF[this.state].detail, name);
  }

  step(input: ReceiverInput, nowMs: number): ReceiverOutput[] {
    switch (input.kind) {
      case "schedule":
        this.#clock.set(input.utcMs, nowMs);
        this.#schedule(input.schedule, nowMs);
        break;
      case "clock":
        this.#clock.set(input.utcMs, nowMs);
        this.#finishIfSolvable(nowMs);
        break;
      case "content":
        this.#takeContent(input.seq, input.payload, nowMs);
        break;
      case "poll":
        this.#planAnswer(input.poll, nowMs);
        break;
      case "overheard":
        this.#answer.overhear(input.deficit);
        break;
      case "cancel":
        if (this.#concerns(input.cancel.name) && input.cancel.updateAtMs === this.#record.schedule?.updateAtMs)
          this.#tryStep("cancel");
        break;
      case "apply":
        if (this.#concerns(input.name)) this.#tryStep("apply");
        break;
      case "fetch":
        if (this.#concerns(input.name) && this.#canRequest && RECEIVER[this.state].request) this.#request(nowMs);
        break;
      case "installed":
        this.#tryStep(input.outcome === "confirmed" ? "applied" : "rolledBack", input.outcome);
        break;
      case "wake":
        this.#finishIfSolvable(nowMs);
        break;
    }
    this.#meetDeadlines(nowMs);
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  #concerns(name: Uint8Array): boolean {
    return this.#record.schedule !== undefined && equalBytes(name, this.#record.schedule.name);
  }

  #schedule(schedule: Schedule, nowMs: number): void {
    if (schedule.updateAtMs === NEVER || RECEIVER[this.state].schedule === undefined) return;
    this.#reception = undefined;
    this.#step("schedule", undefined, { schedule });
    if (schedule.updateAtMs === AT_ONCE && this.#canRequest) this.#request(nowMs);
  }

  // What comes over the air

  #takeContent(seq: number, payload: Uint8Array, nowMs: number): void {
    if (!this.#isListening && !this.#lacksEnd) return;
    const message = this.#read(seq, payload);
    if (message === undefined) return;
    this.#clock.lastHeardAtMs = nowMs;
    if (this.#reception === undefined && !this.#begin(message)) return;
    if (this.state === "suspended") this.#step("heard");
    this.#pacer.heard(nowMs);
    this.#takeMessage(message);
    this.#advance(nowMs);
  }

  /** What a message is, or `undefined` when it is none of this content. */
  #read(seq: number, payload: Uint8Array): Reading | undefined {
    const { schedule, profile } = this.#record;
    if (schedule === undefined) return undefined;
    try {
      const expected = profile ?? this.#expected?.profile;
      return readContent({ seq, payload }, { schedule, profile: expected, cipher: this.#cipher(schedule) });
    } catch (error) {
      if (error instanceof PeerError) return undefined;
      throw error;
    }
  }

  /** The first message that says what comes: makes room for it. */
  #begin(message: Reading): boolean {
    const { profile } = message;
    if (profile === undefined) return false;
    if (this.#expected === undefined && this.#options.allowsUnsigned !== true) {
      this.#fail("unsupportedPackage");
      return false;
    }
    if (profile.dataCount * profile.chunkBytes > this.#options.slotFlash.sizeBytes) {
      this.#fail("noFlash");
      return false;
    }
    this.#step("begun", undefined, { profile, isClearing: true });
    return this.#reception !== undefined;
  }

  #takeMessage(message: Reading): void {
    if (message.profile) this.#correct(message.profile);
    const reception = this.#reception as Reception;
    if (this.state === "receiving" && (message.kind === "end" || message.kind === "repair")) this.#step("ended");
    switch (message.kind) {
      case "begin":
        break;
      case "data":
        reception.takeData(message.chunk, message.payload);
        break;
      case "end":
        this.#takeEnd(message.end);
        break;
      case "repair":
        reception.takeParity(message.n, message.payload);
        break;
    }
  }

  #takeEnd({ applyAtMs, imageDigest }: End): void {
    if (this.#record.end !== undefined) return;
    this.#believe(imageDigest);
    this.#store({ ...this.#record, end: { applyAtMs, imageDigest } });
  }

  /** End's digest, unless a manifest has a better one: End proves nothing of who made it. */
  #believe(imageDigest: Uint8Array): void {
    if (this.#reception) this.#reception.proof = { imageDigest, ...this.#reception.proof };
  }

  /** What Begin left open: the rows of the parity until End, and the chunk until the first Data message in rare cases. */
  #correct(profile: ContentProfile): void {
    const reception = this.#reception as Reception;
    const { chunkBytes, repairScheme } = reception.profile;
    const isOtherChunk = chunkBytes !== profile.chunkBytes;
    if (!isOtherChunk && repairScheme === profile.repairScheme) return;
    if (isOtherChunk && reception.receivedCount > 0) return;
    reception.save();
    this.#store({ ...this.#record, profile });
    const { proof } = reception;
    this.#reception = this.#openReception(isOtherChunk ? "new" : "recovered");
    if (this.#reception) this.#reception.proof = proof;
  }

  #finish(nowMs: number): void {
    this.#step("finished");
    if (this.#lacksEnd) this.#pacer.begin(nowMs);
  }

  /** After a restart: what was there before it may be enough. */
  #finishIfSolvable(nowMs: number): void {
    if (this.#reception?.deficit === 0) this.#advance(nowMs);
  }

  #advance(nowMs: number): void {
    const reception = this.#reception;
    if (!this.#isListening || reception === undefined) return;
    reception.repair();
    if (reception.isHopeless) this.#fail("integrityFailed");
    else if (reception.missingCount === 0) {
      if (reception.verify()) this.#finish(nowMs);
      else if (reception.missingCount === 0 || reception.isHopeless) this.#fail("integrityFailed");
    }
  }

  // Polls and requests

  #planAnswer(poll: Poll, nowMs: number): void {
    if (!this.#concerns(poll.name) || !this.#isListening) return;
    this.#clock.lastHeardAtMs = nowMs;
    if (this.state === "suspended" && this.#reception) this.#step("heard");
    const deficit = this.#lackingCount;
    if (deficit === 0 || deficit < poll.leastDeficit) return;
    // No slots to answer in: the sender would rather be asked for the packets themselves.
    if (poll.slotMs === 0) {
      if (this.#canRequest && this.state !== "pulling") this.#request(nowMs);
      return;
    }
    this.#answer.plan(poll, deficit, nowMs);
  }

  /** The answer to a poll. */
  #sayLacking(): void {
    const { schedule } = this.#record;
    if (!this.#isListening || schedule === undefined) return;
    const status = this.#status(STATUS_OF[this.state].detail, schedule.name);
    this.#outputs.push({ kind: "status", status: { ...status, deficit: this.#lackingCount } });
  }

  /** Packets that it still needs; who has heard nothing of a content does not know how many there are. */
  get #lackingCount(): number {
    return Math.min(this.#reception ? this.#reception.deficit : LARGEST_DEFICIT, LARGEST_DEFICIT);
  }

  get #canRequest(): boolean {
    return this.#options.canRequest !== false;
  }

  #request(nowMs: number): void {
    this.#step("request");
    this.#pacer.begin(nowMs);
  }

  #meetDeadlines(nowMs: number): void {
    if (this.#answer.take(nowMs)) this.#sayLacking();
    const dueAtMs = this.#stateDeadlineMs();
    if (dueAtMs === undefined || dueAtMs > nowMs) return;
    switch (this.state) {
      case "waiting":
      case "suspended":
        if (nowMs >= this.#clock.abandonAtMs(this.#record)) this.#fail("connectionLost");
        else if (this.#canRequest) this.#request(nowMs);
        break;
      case "receiving":
      case "repairing":
        this.#step("silent");
        break;
      case "pulling":
        if (nowMs >= this.#clock.abandonAtMs(this.#record)) this.#fail("connectionLost");
        else if (this.#reception?.deficit === 0) this.#advance(nowMs);
        else this.#outputs.push({ kind: "interest", interest: this.#pacer.next(this.#reception, nowMs) });
        break;
      case "verified":
        if (this.#lacksEnd)
          this.#outputs.push({ kind: "interest", interest: this.#pacer.endOf(this.#dataCount, nowMs) });
        else this.#step("apply");
        break;
      case "idle":
      case "applying":
        break;
    }
  }

  get #dataCount(): number {
    return this.#record.profile?.dataCount ?? 0;
  }

  /** All is there but the message that says when to apply it. */
  get #lacksEnd(): boolean {
    return this.state === "verified" && this.#record.end === undefined && this.#reception !== undefined;
  }

  /** When something is due in this state if nothing happens before. */
  #stateDeadlineMs(): number | undefined {
    return this.#clock.deadlineMs(this.#record, {
      gapMs: this.#expected?.gapMs,
      canRequest: this.#canRequest,
      lacksEnd: this.#lacksEnd,
      requestDueAtMs: this.#pacer.dueAtMs,
    });
  }

  // State

  get #isListening(): boolean {
    return ["waiting", "receiving", "repairing", "pulling", "suspended"].includes(this.state);
  }

  get #expected(): ExpectedContent | undefined {
    const { schedule } = this.#record;
    return schedule && this.#options.expectedContent?.(schedule.name);
  }

  #cipher(schedule: Schedule): ContentCipher {
    return new ContentCipher(schedule, this.#options.crypto);
  }

  #openReception(start: "new" | "recovered"): Reception | undefined {
    const { schedule, profile } = this.#record;
    if (schedule === undefined || profile === undefined) return undefined;
    const { crypto, slotFlash, scratchFlash, usesRepair = true, maxMissing } = this.#options;
    const reception = new Reception(
      {
        profile,
        crypto,
        slotFlash,
        scratchFlash,
        usesRepair,
        cipher: this.#cipher(schedule),
        tagBytes: tagBytesOf(schedule.encType),
        ...(maxMissing !== undefined && { maxMissing }),
      },
      start,
    );
    const expected = this.#expected;
    if (expected) reception.proof = expected;
    return reception;
  }

  #prepare(): void {
    try {
      this.#reception = this.#openReception("new");
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#fail("noFlash");
      return;
    }
    const { isClearing: _, ...record } = this.#record;
    this.#store(record);
  }

  #fail(failure: ReceptionFailure): void {
    this.#step(`failed.${failure}`);
  }

  /** Takes the arrow of a peer's event if there is one. */
  #tryStep(event: ReceiverEvent, detail?: StatusDetail, change: Partial<ReceiverRecord> = {}): boolean {
    if (RECEIVER[this.state][event] === undefined) return false;
    this.#step(event, detail, change);
    return true;
  }

  #step(event: ReceiverEvent, detail?: StatusDetail, change: Partial<ReceiverRecord> = {}): void {
    const arrow = RECEIVER[this.state][event];
    if (arrow === undefined)
      throw new BugError("RECEIVER_EVENT", `no arrow for ${event}`, { state: this.state, event });
    const { name } = change.schedule ?? this.#record.schedule ?? {};
    const kept = event === "schedule" || arrow.to === "idle" ? {} : this.#record;
    this.#store({ ...kept, ...change, state: arrow.to, result: arrow.extra });
    this.#answer.drop();
    if (event === "silent") this.#reception?.save();
    for (const action of arrow.actions) {
      if (action === "prepare") this.#prepare();
      else if (action === "install") this.#outputs.push({ kind: "install" });
    }
    // An action that failed has said so already.
    if (this.state !== arrow.to) return;
    if (name) this.#report(detail ?? STATUS_OF[this.state].detail, name);
    if (this.state === "idle") this.#reception = undefined;
  }

  #store(record: ReceiverRecord): void {
    this.#record = record;
    this.#outputs.push({ kind: "save", record });
  }

  #report(detail: StatusDetail, name = this.#record.schedule?.name): void {
    if (name !== undefined) this.#outputs.push({ kind: "status", status: this.#status(detail, name) });
  }

  #status(detail: StatusDetail, name: Uint8Array): ReceiverStatus {
    return {
      name,
      state: STATUS_OF[this.state].state,
      detail,
      result: this.#record.result,
      receivedCount: this.#reception?.receivedCount ?? 0,
      deficit: Math.min(this.#reception?.deficit ?? 0, LARGEST_DEFICIT),
    };
  }
}
