/** Commands that wait for their moment and for the law. */
import type { AirWindow, SealedCommand } from "@airlift/protocol/api/gateway";
import { fromHex } from "@airlift/protocol/lib/bytes";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { Air } from "./air.ts";
import { EdgeTimer } from "./edge-timer.ts";
import type { LedgerFile } from "./ledger-file.ts";
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

interface Waiting {
  readonly command: SealedCommand;
  readonly airtimeMs: number;
  readonly batch: CommandBatch;
  leftCount: number;
  nextAtMs: number;
  done(wasSent: boolean): void;
}

export class CommandQueue {
  readonly #air: Air;
  readonly #ledger: LedgerFile;
  readonly #clock: WallClock;
  readonly #timer = new EdgeTimer(() => this.#run());
  /** By channel, in the order of their numbers: who has taken a command refuses those before it, so none may overtake a repeat. */
  readonly #lines = new Map<string, Waiting[]>();
  #waitingCount = 0;

  constructor({ air, ledger, clock }: { air: Air; ledger: LedgerFile; clock: WallClock }) {
    this.#air = air;
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** Sends all of a batch; settles when each was sent so often as it should be, or its time is over. */
  send(batch: CommandBatch): Promise<CommandOutcome> {
    return new Promise((resolve) => {
      const { commands, rateBps } = batch;
      const room = Math.max(0, MAX_WAITING_COMMANDS - this.#waitingCount);
      const accepted = commands.slice(0, room);
      const outcome = { sentCount: 0, droppedCount: commands.length - accepted.length, airtimeMs: 0 };
      let openCount = accepted.length;
      if (openCount === 0) resolve(outcome);
      for (const command of accepted) {
        const perFrameMs = airtimeMs(command.payload.length / 2, rateBps);
        this.#add({
          command,
          batch,
          airtimeMs: perFrameMs,
          leftCount: command.repeats,
          nextAtMs: 0,
          done: (wasSent) => {
            if (wasSent) outcome.sentCount += 1;
            else outcome.droppedCount += 1;
            outcome.airtimeMs += wasSent ? perFrameMs * command.repeats : 0;
            openCount -= 1;
            if (openCount === 0) resolve(outcome);
          },
        });
      }
      this.#timer.arm(0);
    });
  }

  close(): void {
    this.#timer.stop();
    this.#lines.clear();
    this.#waitingCount = 0;
  }

  #run(): void {
    const nowMs = monotonicMs();
    // A window says nothing to a clock that does not know the time: nothing is sent by it, and nothing dropped.
    if (this.#clock.isTrusted) this.#drop(this.#clock.utcMs(nowMs));
    const next = this.#earliest();
    if (next === undefined) return;
    if (!this.#air.isUp || !this.#clock.isTrusted) {
      this.#timer.arm(PAUSE_MS);
      return;
    }
    const atMs = this.#ledger.earliestMs(next.airtimeMs, Math.max(nowMs, this.#dueMs(next)));
    if (atMs > nowMs) {
      this.#timer.arm(
        Math.min(atMs, this.#clock.toMonotonicMs(next.batch.window.untilMs), nowMs + LONGEST_NAP_MS) - nowMs,
      );
      return;
    }
    this.#say(next, nowMs);
    this.#timer.arm(next.airtimeMs);
  }

  #add(one: Waiting): void {
    const { name } = one.command;
    const line = this.#lines.get(name);
    if (line === undefined) this.#lines.set(name, [one]);
    // Those that a restart takes up come as the folder has them.
    else line.splice(line.findLastIndex(({ command }) => command.fseq <= one.command.fseq) + 1, 0, one);
    this.#waitingCount += 1;
  }

  /** When a command may go by itself; the clock may have been set since it came. */
  #dueMs({ batch, nextAtMs }: Waiting): number {
    return Math.max(nextAtMs, this.#clock.toMonotonicMs(batch.window.fromMs));
  }

  /** Of the first ones of all channels. Looked for at each frame, among ten thousand: nothing is made on the way. */
  #earliest(): Waiting | undefined {
    let earliest: Waiting | undefined;
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const line of this.#lines.values()) {
      const first = line[0];
      if (first === undefined) continue;
      const dueMs = this.#dueMs(first);
      if (dueMs < earliestMs) [earliest, earliestMs] = [first, dueMs];
    }
    return earliest;
  }

  #say(next: Waiting, nowMs: number): void {
    const { command, batch } = next;
    this.#ledger.book(nowMs, next.airtimeMs);
    const [name, payload] = [fromHex(command.name), fromHex(command.payload)];
    if (name && payload) this.#air.say({ kind: "command", ttl: batch.ttl, name, fseq: command.fseq, payload });
    next.leftCount -= 1;
    next.nextAtMs = nowMs + Math.max(command.spacingMs, next.airtimeMs);
    if (next.leftCount > 0) return;
    const line = this.#lines.get(command.name);
    line?.shift();
    if (line?.length === 0) this.#lines.delete(command.name);
    this.#waitingCount -= 1;
    next.done(true);
  }

  #drop(utcMs: number): void {
    const isOver = ({ batch }: Waiting) => batch.signal?.aborted === true || batch.window.untilMs <= utcMs;
    for (const [name, line] of this.#lines) {
      if (!line.some(isOver)) continue;
      const left = line.filter((one) => !isOver(one));
      if (left.length > 0) this.#lines.set(name, left);
      else this.#lines.delete(name);
      this.#waitingCount -= line.length - left.length;
      for (const one of line) if (isOver(one)) one.done(one.leftCount < one.command.repeats);
    }
  }
}
