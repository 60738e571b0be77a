/** Commands that wait for their moment and for the law. */
import type { AirWindow, SealedCommand } from "@airlift/protocol/api/gateway";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { type AirCycle, cycleAtMs } from "@airlift/protocol/zmesh/air-turns";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { Air } from "./air.ts";
import { EdgeTimer } from "./edge-timer.ts";
import type { LedgerFile } from "./ledger-file.ts";
import { PackedCommands } from "./packed-commands.ts";
import { monotonicMs, type WallClock } from "./wall-clock.ts";

/** Commands that wait at a time. */
export const MAX_WAITING_COMMANDS = 65_536;
/** How often what keeps all commands back (a link that is down, a clock that is not trusted) is looked at. */
const PAUSE_MS = 250;
/** How long a command that waits for its time is not looked at: the clock may be set meanwhile. */
const LONGEST_NAP_MS = 60_000;

export interface CommandBatch {
  readonly commands: readonly SealedCommand[];
  readonly rateBps: number;
  readonly ttl: number;
  /** UTC; what has not been sent by its end is dropped. */
  readonly window: AirWindow;
  readonly signal?: AbortSignal;
}

export interface CommandOutcome {
  readonly sentCount: number;
  readonly droppedCount: number;
  readonly airtimeMs: number;
}

/** A batch of which some are not sent yet. */
interface OpenBatch extends Omit<CommandBatch, "commands"> {
  readonly commands: PackedCommands;
  readonly outcome: { sentCount: number; droppedCount: number; airtimeMs: number };
  openCount: number;
  settle(): void;
}

interface Waiting {
  readonly batch: OpenBatch;
  /** Its place in the batch. */
  readonly place: number;
  leftCount: number;
  nextAtMs: number;
  /** The one behind it in its channel. */
  next: Waiting | undefined;
}

/** The commands of a channel, in the order of their numbers: who has taken one refuses those before it, so none may overtake a repeat. */
interface Line {
  readonly name: string;
  first: Waiting;
}

export interface CommandQueueOptions {
  readonly air: Air;
  readonly ledger: LedgerFile;
  readonly clock: WallClock;
  /** When this gateway may say commands, as of now; undefined = at any time. */
  readonly turn?: () => AirCycle | undefined;
}

export class CommandQueue {
  readonly #air: Air;
  readonly #ledger: LedgerFile;
  readonly #clock: WallClock;
  readonly #turn: () => AirCycle | undefined;
  readonly #timer = new EdgeTimer(() => this.#run());
  readonly #batches = new Set<OpenBatch>();
  /** By channel. */
  readonly #lines = new Map<string, Line>();
  /** When the first one of each line may go by itself: monotonic, as the clock had it at `#originMs`. */
  readonly #due = new Deadlines<Line>();
  #originMs: number;
  #waitingCount = 0;

  constructor({ air, ledger, clock, turn = () => undefined }: CommandQueueOptions) {
    this.#turn = turn;
    this.#air = air;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#originMs = clock.toMonotonicMs(0);
  }

  /** Sends all of a batch; settles when each was sent so often as it should be, or its time is over. */
  send({ commands, ...rest }: CommandBatch): Promise<CommandOutcome> {
    return new Promise((resolve) => {
      const room = Math.max(0, MAX_WAITING_COMMANDS - this.#waitingCount);
      const accepted = commands.slice(0, room);
      const outcome = { sentCount: 0, droppedCount: commands.length - accepted.length, airtimeMs: 0 };
      const settle = () => resolve(outcome);
      if (accepted.length === 0) settle();
      const batch = { ...rest, commands: new PackedCommands(accepted), outcome, openCount: accepted.length, settle };
      if (accepted.length > 0) this.#batches.add(batch);
      for (const [place, { name }] of accepted.entries()) this.#add(name, batch, place);
      this.#timer.arm(0);
    });
  }

  close(): void {
    this.#timer.stop();
    for (const line of this.#lines.values()) this.#due.delete(line);
    this.#lines.clear();
    this.#batches.clear();
    this.#waitingCount = 0;
  }

  #run(): void {
    const nowMs = monotonicMs();
    // A window says nothing to a clock that does not know the time: nothing is sent by it, and nothing dropped.
    if (this.#clock.isTrusted) this.#drop(this.#clock.utcMs(nowMs));
    this.#followClock();
    if (this.#due.size === 0) return;
    if (!this.#air.isUp || !this.#clock.isTrusted) {
      this.#timer.arm(PAUSE_MS);
      return;
    }
    const line = this.#due.popDue(Number.POSITIVE_INFINITY) as Line;
    this.#timer.arm(this.#sayOrWait(line, nowMs));
  }

  /** @returns How long nothing else is to be done. */
  #sayOrWait(line: Line, nowMs: number): number {
    const { batch, place } = line.first;
    const airtime = airtimeMs(batch.commands.payloadBytesAt(place), batch.rateBps);
    const atMs = this.#turnAtMs(airtime, Math.max(nowMs, this.#dueMs(line.first)));
    if (atMs <= nowMs) this.#say(line, { nowMs, airtimeMs: airtime });
    if (this.#lines.has(line.name)) this.#due.set(line, this.#dueMs(line.first));
    if (atMs <= nowMs) return airtime;
    const overAtMs = this.#clock.toMonotonicMs(batch.window.untilMs);
    return Math.min(atMs, overAtMs, nowMs + LONGEST_NAP_MS) - nowMs;
  }

  /** The earliest time from `fromMs` on that the law allows and that lies in this gateway's turn. */
  #turnAtMs(airtime: number, fromMs: number): number {
    const turn = this.#turn();
    const lawfulMs = this.#ledger.earliestMs(airtime, fromMs);
    if (turn === undefined || !Number.isFinite(lawfulMs)) return lawfulMs;
    const utcMs = this.#clock.utcMs(lawfulMs);
    const waitMs = cycleAtMs(turn, utcMs, airtime) - utcMs;
    // What the law says of that moment is looked at when it has come.
    return lawfulMs + waitMs;
  }

  #add(name: string, batch: OpenBatch, place: number): void {
    const { commands } = batch;
    const one: Waiting = { batch, place, leftCount: commands.repeatsAt(place), nextAtMs: 0, next: undefined };
    this.#waitingCount += 1;
    const line = this.#lines.get(name);
    if (line === undefined) {
      const opened = { name, first: one };
      this.#lines.set(name, opened);
      this.#due.set(opened, this.#dueMs(one));
      return;
    }
    // Those that a restart takes up come as the folder has them.
    const fseq = commands.fseqAt(place);
    let before: Waiting | undefined;
    for (let at: Waiting | undefined = line.first; at && fseqOf(at) <= fseq; at = at.next) before = at;
    one.next = before === undefined ? line.first : before.next;
    if (before !== undefined) before.next = one;
    else {
      line.first = one;
      this.#due.set(line, this.#dueMs(one));
    }
  }

  /** When a command may go by itself. */
  #dueMs({ batch, nextAtMs }: Waiting): number {
    return Math.max(nextAtMs, this.#clock.toMonotonicMs(batch.window.fromMs));
  }

  /** When the clock was set, all windows lie elsewhere. */
  #followClock(): void {
    const originMs = this.#clock.toMonotonicMs(0);
    if (originMs === this.#originMs) return;
    this.#originMs = originMs;
    for (const line of this.#lines.values()) this.#due.set(line, this.#dueMs(line.first));
  }

  #say(line: Line, { nowMs, airtimeMs: airtime }: { readonly nowMs: number; readonly airtimeMs: number }): void {
    const one = line.first;
    const { batch } = one;
    const { name, fseq, payload, spacingMs } = batch.commands.at(one.place);
    this.#ledger.book(nowMs, airtime);
    this.#air.say({ kind: "command", ttl: batch.ttl, rateBps: batch.rateBps, name, fseq, payload });
    batch.outcome.airtimeMs += airtime;
    one.leftCount -= 1;
    one.nextAtMs = nowMs + Math.max(spacingMs, airtime);
    if (one.leftCount > 0) return;
    if (one.next === undefined) this.#lines.delete(line.name);
    else line.first = one.next;
    this.#done(one);
  }

  #drop(utcMs: number): void {
    const over = new Set<OpenBatch>();
    for (const batch of this.#batches)
      if (batch.signal?.aborted === true || batch.window.untilMs <= utcMs) over.add(batch);
    if (over.size === 0) return;
    for (const line of this.#lines.values()) {
      const left: Waiting[] = [];
      for (let one: Waiting | undefined = line.first; one; one = one.next)
        if (over.has(one.batch)) this.#done(one);
        else left.push(one);
      for (const [i, one] of left.entries()) one.next = left[i + 1];
      const [first] = left;
      if (first === undefined) {
        this.#lines.delete(line.name);
        this.#due.delete(line);
      } else if (first !== line.first) {
        line.first = first;
        this.#due.set(line, this.#dueMs(first));
      }
    }
  }

  /** It is not to be said any more: whoever has heard it once has it. */
  #done({ batch, place, leftCount }: Waiting): void {
    const { outcome, commands } = batch;
    if (leftCount < commands.repeatsAt(place)) outcome.sentCount += 1;
    else outcome.droppedCount += 1;
    this.#waitingCount -= 1;
    batch.openCount -= 1;
    if (batch.openCount > 0) return;
    this.#batches.delete(batch);
    batch.settle();
  }
}

const fseqOf = ({ batch, place }: Waiting): number => batch.commands.fseqAt(place);
