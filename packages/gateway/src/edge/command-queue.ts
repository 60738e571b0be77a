/** Commands that wait for their moment and for the law. */
import type { SealedCommand } from "@airlift/protocol/api/gateway";
import { fromHex } from "@airlift/protocol/lib/bytes";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { Air } from "./air.ts";
import { EdgeTimer } from "./edge-timer.ts";
import type { LedgerFile } from "./ledger-file.ts";
import { monotonicMs } from "./wall-clock.ts";

/** Commands that wait at a time. */
export const MAX_WAITING_COMMANDS = 65_536;
/** How often a link that is down is looked at. */
const LINK_PAUSE_MS = 250;

export interface CommandBatch {
  readonly commands: readonly SealedCommand[];
  readonly rateBps: number;
  readonly ttl: number;
  /** Monotonic. */
  readonly fromMs: number;
  readonly untilMs: number;
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
  readonly #timer = new EdgeTimer(() => this.#run());
  /** By channel, in the order of arrival: who has taken a command refuses those before it, so none may overtake a repeat. */
  readonly #lines = new Map<string, Waiting[]>();
  #waitingCount = 0;

  constructor(air: Air, ledger: LedgerFile) {
    this.#air = air;
    this.#ledger = ledger;
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
          nextAtMs: batch.fromMs,
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
    this.#drop(nowMs);
    const next = this.#earliest();
    if (next === undefined) return;
    if (!this.#air.isUp) {
      this.#timer.arm(LINK_PAUSE_MS);
      return;
    }
    const atMs = this.#ledger.earliestMs(next.airtimeMs, Math.max(nowMs, next.nextAtMs));
    if (atMs > nowMs) {
      this.#timer.arm(Math.min(atMs, next.batch.untilMs) - nowMs);
      return;
    }
    this.#say(next, nowMs);
    this.#timer.arm(next.airtimeMs);
  }

  #add(one: Waiting): void {
    const { name } = one.command;
    const line = this.#lines.get(name);
    if (line === undefined) this.#lines.set(name, [one]);
    else line.push(one);
    this.#waitingCount += 1;
  }

  /** Of the first ones of all channels. Looked for at each frame, among ten thousand: nothing is made on the way. */
  #earliest(): Waiting | undefined {
    let earliest: Waiting | undefined;
    for (const line of this.#lines.values()) {
      const first = line[0];
      if (first !== undefined && first.nextAtMs < (earliest?.nextAtMs ?? Number.POSITIVE_INFINITY)) earliest = first;
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

  #drop(nowMs: number): void {
    const isOver = ({ batch }: Waiting) => batch.signal?.aborted === true || batch.untilMs <= nowMs;
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
