/** One broadcast session on air: announces its contents, sends each by the transmitter, keeps to its windows and its airtime. */
import type { SessionOutcome, SessionProgress, SessionState, TransmitOrder } from "@airlift/protocol/api/gateway";
import { fromHex } from "@airlift/protocol/lib/bytes";
import { turnAtMs } from "@airlift/protocol/zmesh/air-turns";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { sealCommand } from "@airlift/protocol/zmesh/command-channel";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { AT_ONCE, isInstant } from "@airlift/protocol/zmesh/instant";
import { Transmitter } from "@airlift/protocol/zmesh/transmitter";
import type { Tally, TransmitterInput, TransmitterOutput } from "@airlift/protocol/zmesh/transmitter-types";
import type { Air } from "./air.ts";
import type { CommandQueue } from "./command-queue.ts";
import type { ContentShelf } from "./content-shelf.ts";
import { EdgeTimer } from "./edge-timer.ts";
import type { LedgerFile } from "./ledger-file.ts";
import type { SessionRecord } from "./session-file.ts";
import { monotonicMs, type WallClock } from "./wall-clock.ts";

/** How often what keeps a session silent (its links, its clock) is looked at. */
const PAUSE_MS = 250;
/** How long a broadcast waits for the server to open the answers to a poll; then they are guessed at. */
export const DEFAULT_ANSWER_PATIENCE_MS = 5_000;
/** After the last slot of a poll: relays take their time, and so does a device whose processor is busy with the packets before it. */
const ANSWER_GRACE_MS = 1_000;

export interface SessionOptions {
  readonly air: Air;
  readonly queue: CommandQueue;
  readonly ledger: LedgerFile;
  readonly shelf: ContentShelf;
  readonly clock: WallClock;
  readonly crypto: ZmeshCrypto;
  /** Durable when it returns. */
  save(record: SessionRecord): void;
  told(progress: SessionProgress): void;
  ended(progress: SessionProgress, outcome: SessionOutcome, detail: string | null): void;
  /** Hex names of the devices whose events after report `since` the server has not opened yet. */
  unopened(since: number): readonly string[];
  /** Number of the latest report. */
  lastReport(): number;
  readonly answerPatienceMs?: number;
}

export class Session {
  readonly order: TransmitOrder;
  readonly #options: SessionOptions;
  readonly #timer = new EdgeTimer(() => this.#run());
  readonly #abort = new AbortController();
  #record: SessionRecord;
  #transmitter: Transmitter | undefined;
  #isReady = false;
  #isAnnouncing = false;
  #isPaused = false;
  #toldState: SessionState | undefined;
  #deficits: number[] = [];
  /** The latest report when the poll went out: what came before is no answer to it. */
  #polledAfter = 0;

  constructor(order: TransmitOrder, record: SessionRecord, options: SessionOptions) {
    this.order = order;
    this.#record = record;
    this.#options = options;
  }

  get isOver(): boolean {
    return this.#record.outcome !== null;
  }

  /** The content that is being sent, as hex name; `undefined` before and after. */
  get contentName(): string | undefined {
    return this.#transmitter && this.order.parts[this.#record.part]?.content.name;
  }

  /** Its contents are on the shelf: it may begin. */
  ready(): void {
    this.#isReady = true;
    this.#timer.arm(0);
  }

  /** Nothing of it goes on air after this returns. */
  cancel(): void {
    this.#end("cancelled", null);
  }

  fail(detail: string): void {
    this.#end("failed", detail);
  }

  /** Stops without an end: the next start goes on. */
  close(): void {
    this.#abort.abort();
    this.#timer.stop();
    this.#transmitter = undefined;
    this.#isReady = false;
  }

  /** What devices answered to the last poll; it never sends anything by itself. */
  answers(answers: readonly { readonly device: string; readonly deficit: number }[]): void {
    const transmitter = this.#transmitter;
    if (transmitter?.state !== "polling") return;
    const most = this.order.parts[this.#record.part]?.content.dataCount ?? 1;
    for (const { device, deficit: told } of answers) {
      // Who has heard nothing does not know how much there is.
      const deficit = Math.min(told, most);
      if (deficit < 1) continue;
      this.#deficits = [...this.#deficits, deficit].sort((a, b) => b - a).slice(0, 64);
      // Before the poll's time is over, whatever it is: one answer must not close the poll for those that come with it.
      const beforeMs = Math.min(monotonicMs(), (transmitter.wakeAtMs ?? Number.POSITIVE_INFINITY) - 0.001);
      this.#perform(transmitter.step({ kind: "answer", device, deficit }, beforeMs));
    }
    this.#timer.arm(0);
  }

  /** A device asks for packets. @returns Whether this session answers. */
  interest(seqs: readonly number[]): boolean {
    if (this.#transmitter?.state !== "pulling") return this.#transmitter !== undefined;
    if (this.#silenceMs() === 0) this.#feed({ kind: "interest", seqs });
    this.#timer.arm(0);
    return true;
  }

  progress(): SessionProgress {
    const { part, tallies, commandAirtimeMs } = this.#record;
    const running = this.#transmitter ? [...tallies.slice(0, part), plain(this.#transmitter.tally)] : tallies;
    const wakeAtMs = this.isOver ? undefined : this.#transmitter?.wakeAtMs;
    return {
      sessionId: this.order.sessionId,
      state: this.#state,
      part,
      tallies: running,
      airtimeMs: commandAirtimeMs + running.reduce((sum, tally) => sum + tally.airtimeMs, 0),
      deficits: this.#deficits,
      nextAtMs: wakeAtMs === undefined || !Number.isFinite(wakeAtMs) ? null : this.#options.clock.utcMs(wakeAtMs),
    };
  }

  get #state(): SessionState {
    if (this.isOver) return "ended";
    if (!this.#isReady) return "fetching";
    if (this.#isPaused) return "paused";
    const state = this.#transmitter?.state ?? "waiting";
    return state === "finished" || state === "cancelled" ? "ending" : state;
  }

  #run(): void {
    if (this.isOver || !this.#isReady) return;
    const silenceMs = this.#silenceMs();
    this.#isPaused = silenceMs > 0;
    if (silenceMs === Number.POSITIVE_INFINITY) this.#end("expired", null);
    else if (silenceMs > 0) this.#timer.arm(silenceMs);
    else if (!this.#record.isAnnounced) void this.#announce();
    else this.#proceed();
    this.#tell();
  }

  /** How long the session has to be silent: 0 = it may send, infinity = its windows are over. */
  #silenceMs(): number {
    const { clock, air } = this.#options;
    if (!clock.isTrusted) return PAUSE_MS;
    const utcMs = clock.utcMs();
    const turnMs = turnAtMs(this.order.windows, utcMs);
    if (turnMs === Number.POSITIVE_INFINITY) return turnMs;
    if (turnMs > utcMs) return Math.min(turnMs - utcMs, 60_000);
    return air.isUp ? 0 : PAUSE_MS;
  }

  async #announce(): Promise<void> {
    if (this.#isAnnouncing) return;
    const { order } = this;
    const { clock, queue } = this.#options;
    const commands = order.parts.flatMap((part) => part.commands);
    const lastMs = this.#lastCallMs(commands.length);
    if (clock.utcMs() >= lastMs) {
      this.#end("failed", "its schedules could not be sent before the time they name");
      return;
    }
    this.#isAnnouncing = true;
    const window = order.windows.find(({ untilMs }) => untilMs > clock.utcMs());
    const outcome = await queue.send({
      commands,
      rateBps: order.rateBps,
      ttl: order.ttl,
      window: { fromMs: 0, untilMs: Math.min(lastMs, window?.untilMs ?? 0) },
      signal: this.#abort.signal,
    });
    this.#isAnnouncing = false;
    if (this.#abort.signal.aborted || this.isOver) return;
    const commandAirtimeMs = this.#record.commandAirtimeMs + outcome.airtimeMs;
    // Whoever could not be told in time is in the next broadcast; the others wait for this one.
    this.#save({ isAnnounced: outcome.droppedCount === 0 || outcome.sentCount > 0, commandAirtimeMs });
    this.#timer.arm(0);
  }

  /** Until when schedules are of use: a device refuses one whose time is over. */
  #lastCallMs(commandCount: number): number {
    const { updateAtMs = AT_ONCE } = this.order.parts[0] ?? {};
    return commandCount === 0 || !isInstant(updateAtMs) ? Number.POSITIVE_INFINITY : updateAtMs;
  }

  #proceed(): void {
    this.#transmitter ??= this.#open();
    const transmitter = this.#transmitter;
    if (transmitter.state === "finished") {
      // A power cut came between the end of a part and the note that it was the part's.
      this.#partEnded(transmitter.tally);
      this.#timer.arm(0);
      return;
    }
    const nowMs = monotonicMs();
    const wakeAtMs = transmitter.wakeAtMs ?? nowMs;
    if (this.#isOverBudget(nowMs)) {
      this.#end("spent", null);
      return;
    }
    if (wakeAtMs > nowMs) this.#timer.arm(Math.min(wakeAtMs - nowMs, 60_000));
    else if (!this.#waitsForAnswers(nowMs - wakeAtMs)) {
      this.#feed({ kind: "wake" });
      this.#timer.arm((this.#transmitter?.wakeAtMs ?? nowMs) - monotonicMs());
    } else this.#timer.arm(20);
  }

  /** Whether answers to the poll are still being opened; those that the server does not open in time are guessed at. */
  #waitsForAnswers(lateMs: number): boolean {
    if (this.#transmitter?.state !== "polling") return false;
    if (lateMs < ANSWER_GRACE_MS) return true;
    const unopened = this.#options.unopened(this.#polledAfter);
    if (unopened.length === 0) return false;
    if (lateMs < (this.#options.answerPatienceMs ?? DEFAULT_ANSWER_PATIENCE_MS)) return true;
    const { content } = this.order.parts[this.#record.part] as TransmitOrder["parts"][number];
    const deficit = Math.max(2, Math.ceil(content.dataCount * this.order.loss * 0.1));
    this.answers(unopened.map((device) => ({ device, deficit })));
    return false;
  }

  #isOverBudget(nowMs: number): boolean {
    const { airtimeBudgetMs } = this.order;
    const wakeAtMs = this.#transmitter?.wakeAtMs;
    if (airtimeBudgetMs === null || wakeAtMs === undefined || wakeAtMs > nowMs) return false;
    const part = this.order.parts[this.#record.part];
    return this.progress().airtimeMs + airtimeMs(part?.content.payloadBytes ?? 0, this.order.rateBps) > airtimeBudgetMs;
  }

  #open(): Transmitter {
    const { order } = this;
    const { shelf, ledger, clock } = this.#options;
    const part = order.parts[this.#record.part] as TransmitOrder["parts"][number];
    const nowMs = monotonicMs();
    const transmitter = new Transmitter(
      {
        content: shelf.broadcastOf(part.content),
        ledger,
        startAtMs: clock.toMonotonicMs(part.updateAtMs),
        gapMs: part.gapMs,
        loss: order.loss,
        deviceCount: order.deviceCount,
        rateBps: order.rateBps,
        usesRepair: part.usesRepair,
        maxPolls: order.maxPolls,
        slotMs: order.slotMs,
      },
      this.#record.transmitter ?? undefined,
      nowMs,
    );
    return transmitter;
  }

  #feed(input: TransmitterInput): void {
    const transmitter = this.#transmitter;
    if (transmitter) this.#perform(transmitter.step(input, monotonicMs()));
  }

  #perform(outputs: readonly TransmitterOutput[]): void {
    for (const output of outputs) {
      switch (output.kind) {
        case "save":
          this.#save({ transmitter: output.record });
          break;
        case "content": {
          const name = fromHex(this.contentName ?? "") ?? new Uint8Array(6);
          this.#options.air.say({
            kind: "content",
            ttl: this.order.ttl,
            rateBps: this.order.rateBps,
            name,
            fseq: output.seq,
            payload: output.payload,
          });
          break;
        }
        case "poll":
          this.#poll(output.poll);
          break;
        case "ended":
          if (!this.isOver) this.#partEnded(output.tally);
          break;
      }
    }
  }

  #poll(poll: (TransmitterOutput & { kind: "poll" })["poll"]): void {
    const { pollChannel, ttl, rateBps } = this.order;
    const { crypto, air } = this.#options;
    this.#deficits = [];
    this.#polledAfter = this.#options.lastReport();
    const fseq = this.#record.nextFseq;
    // Without a number that is free the poll stays unsaid: a nonce used twice gives the channel's key away.
    if (fseq > pollChannel.lastFseq) return;
    this.#save({ nextFseq: fseq + 1 });
    const [name, key, iv] = [pollChannel.name, pollChannel.key, pollChannel.iv].map((hex) =>
      fromHex(hex),
    ) as Uint8Array[];
    if (!name || !key || !iv) return;
    const payload = sealCommand({ name, key, iv, crypto }, fseq, { kind: "poll", poll });
    air.say({ kind: "command", ttl, rateBps, name, fseq, payload });
  }

  #partEnded(tally: Tally): void {
    const { part } = this.#record;
    this.#transmitter = undefined;
    const tallies = [...this.#record.tallies.slice(0, part), plain(tally)];
    if (part + 1 < this.order.parts.length) {
      this.#save({ part: part + 1, transmitter: null, tallies });
      this.#options.told(this.progress());
      return;
    }
    this.#save({ tallies, transmitter: null });
    this.#end("finished", null);
  }

  #end(outcome: SessionOutcome, detail: string | null): void {
    if (this.isOver) return;
    const { tallies } = this.progress();
    this.#abort.abort();
    this.#timer.stop();
    this.#transmitter = undefined;
    this.#record = { ...this.#record, outcome, tallies: [...tallies], transmitter: null };
    // An end that is on disk is told by nobody after a power cut; one that is told twice changes nothing.
    this.#options.ended(this.progress(), outcome, detail);
    this.#options.save(this.#record);
  }

  #tell(): void {
    const state = this.#state;
    if (state === this.#toldState || this.isOver) return;
    this.#toldState = state;
    this.#options.told(this.progress());
  }

  #save(change: Partial<SessionRecord>): void {
    this.#record = { ...this.#record, ...change };
    this.#options.save(this.#record);
  }
}

const plain = (tally: Tally): SessionProgress["tallies"][number] => ({ ...tally });
