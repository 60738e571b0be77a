/**
 * Events that tell of what has happened already: nobody waits for them, and while the database is away they wait for it, in the order
 * in which they came.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { EventStore, NewEvent } from "./ports.ts";

export interface RemarksOptions {
  /** How many may wait, at 0.5 … 1 kB each. Default 100,000: a fleet that expires at once, or a busy hour. */
  readonly capacity?: number;
  /** The pause after the database could not take some. Default 1 s. */
  readonly retryMs?: number;
  /** The database could not take some; they wait on. */
  readonly onFailure?: (error: unknown, waitingCount: number) => void;
  /** The database will never take this one: it is dropped. */
  readonly onRefused?: (error: unknown, event: NewEvent) => void;
  /** Some were dropped: too many waited, told once an outage, or the end came while the database was away. */
  readonly onLost?: (lostCount: number) => void;
}

/** Events of one statement; when too many wait, so many of the oldest are dropped at once. */
const AT_ONCE = 1_000;

interface Remark {
  readonly event: NewEvent;
  readonly onSettled: () => void;
}

export class Remarks {
  readonly #events: Pick<EventStore, "appendAll">;
  readonly #options: RemarksOptions;
  readonly #waiting: Remark[] = [];
  /** How many of the first are being written. */
  #underWayCount = 0;
  /** How many of the first have one among them, or had one beside them, that cannot be stored: they are written one by one. */
  #suspectCount = 0;
  #isOverflowTold = false;
  #running: Promise<void> | undefined;
  readonly #closing = new AbortController();
  /** How many were never stored, since the start. */
  lostCount = 0;

  constructor(events: Pick<EventStore, "appendAll">, options: RemarksOptions = {}) {
    this.#events = events;
    this.#options = options;
  }

  /**
   * Stores `event` soon, as of now, however long that takes. If the connection breaks while the database says that it has it, it is
   * stored twice.
   *
   * @param onSettled Called when it is stored, or lost.
   */
  put(event: NewEvent, onSettled: () => void = () => {}): void {
    this.#waiting.push({ event: { ...event, happenedAtMs: performance.now() }, onSettled });
    if (this.#waiting.length > (this.#options.capacity ?? 100_000)) this.#overflow();
    this.#running ??= this.#run();
  }

  /** Writes what waits, if the database takes it now; nothing may be put any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    while (this.#waiting.length > 0 && (await this.#writeSome()));
    const lost = this.#take(0, this.#waiting.length);
    this.lostCount += lost.length;
    if (lost.length > 0) this.#options.onLost?.(lost.length);
  }

  async #run(): Promise<void> {
    // What else happens in this turn shares the statement: a fleet that expires at once is no flood.
    await nextTurn();
    const { signal } = this.#closing;
    while (this.#waiting.length > 0 && !signal.aborted)
      if (!(await this.#writeSome()))
        await sleep(this.#options.retryMs ?? 1_000, undefined, { signal }).catch(() => {});
    this.#running = undefined;
  }

  /** False when the database takes nothing now. */
  async #writeSome(): Promise<boolean> {
    const isAlone = this.#suspectCount > 0;
    const remarks = this.#waiting.slice(0, isAlone ? 1 : AT_ONCE);
    this.#underWayCount = remarks.length;
    try {
      await this.#events.appendAll(remarks.map(({ event }) => event));
      this.#isOverflowTold = false;
      this.#take(0, remarks.length);
    } catch (error) {
      if (error instanceof EnvironmentError) {
        this.#options.onFailure?.(error, this.#waiting.length);
        return false;
      }
      // The fault may be that of another change in the same transaction, too.
      if (isAlone) this.#refuse(error);
      else this.#suspectCount = remarks.length;
    } finally {
      this.#underWayCount = 0;
    }
    return true;
  }

  #refuse(error: unknown): void {
    for (const { event } of this.#take(0, 1)) this.#options.onRefused?.(error, event);
    this.lostCount += 1;
  }

  /** The oldest go, but for those that are being written. */
  #overflow(): void {
    const lost = this.#take(this.#underWayCount, AT_ONCE);
    this.lostCount += lost.length;
    if (!this.#isOverflowTold) this.#options.onLost?.(lost.length);
    this.#isOverflowTold = true;
  }

  /** What is stored or lost waits no more. */
  #take(from: number, count: number): Remark[] {
    const taken = this.#waiting.splice(from, count);
    if (from === 0) this.#suspectCount = Math.max(0, this.#suspectCount - taken.length);
    for (const { onSettled } of taken) onSettled();
    return taken;
  }
}
