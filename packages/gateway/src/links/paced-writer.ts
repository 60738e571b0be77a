/**
 * Hands frames to a modem no faster than it takes them, and lets go of those whose time is over: what is put on air later than it was
 * booked for could break the law. Pure: the owner writes, and says what was taken.
 */

/** Airtime that may be on its way: handed over, and not known to be taken. One frame may be, however long it is. */
export const MOST_AHEAD_MS = 200;
/** Airtime that may wait for it. */
export const MOST_WAITING_MS = 1_000;
/** How late a frame may be after the end of its slot: a busy processor's pause, nothing beside the law's hour and its reserve. */
export const GRACE_MS = 250;

interface WaitingFrame {
  readonly frame: Uint8Array;
  readonly airtimeMs: number;
  /** Not to be handed over later. */
  readonly overAtMs: number;
}

/** A frame that is to be handed over now. */
export interface DueFrame {
  readonly frame: Uint8Array;
  /** To be told when it is taken: rises by 1, up to 65 535 and again from 0. */
  readonly id: number;
}

/** Numbers that frames have: two octets. */
export const ID_COUNT = 65_536;

export class PacedWriter {
  /** Frames that were never handed over. */
  lostCount = 0;
  #waiting: WaitingFrame[] = [];
  #waitingMs = 0;
  /** Handed over, in that order. */
  #ahead: { readonly id: number; readonly airtimeMs: number }[] = [];
  #aheadMs = 0;
  #nextId: number;
  #slotEndMs = Number.NEGATIVE_INFINITY;

  /** @param firstId Of the first frame: a number that nobody speaks of any more. */
  constructor(firstId = 0) {
    this.#nextId = firstId;
  }

  /** Of the next frame that is handed over. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Whether something was handed over that is not taken yet. */
  get isWaiting(): boolean {
    return this.#ahead.length > 0;
  }

  /** Airtime of what was handed over and is not known to be taken. */
  get aheadMs(): number {
    return this.#aheadMs;
  }

  /** One more frame, whose slot begins now or after those before it. @returns What is to be written now. */
  send(frame: Uint8Array, airtimeMs: number, nowMs: number): DueFrame[] {
    const due = this.#flush(nowMs);
    if (this.#waitingMs + airtimeMs > MOST_WAITING_MS && this.#waiting.length > 0) {
      this.lostCount += 1;
      return due;
    }
    this.#slotEndMs = Math.max(nowMs, this.#slotEndMs) + airtimeMs;
    this.#waiting.push({ frame, airtimeMs, overAtMs: this.#slotEndMs + GRACE_MS });
    this.#waitingMs += airtimeMs;
    return [...due, ...this.#flush(nowMs)];
  }

  /** A frame and those before it were taken. @returns What is to be written now; undefined = no frame of this number is on its way. */
  taken(id: number, nowMs: number): DueFrame[] | undefined {
    const place = this.#ahead.findIndex((one) => one.id === id);
    if (place < 0) return undefined;
    for (const { airtimeMs } of this.#ahead.splice(0, place + 1)) this.#aheadMs -= airtimeMs;
    if (this.#ahead.length === 0) this.#aheadMs = 0;
    return this.#flush(nowMs);
  }

  #flush(nowMs: number): DueFrame[] {
    const due: DueFrame[] = [];
    const isLate = ({ overAtMs }: WaitingFrame) => overAtMs < nowMs;
    this.lostCount += this.#waiting.filter(isLate).length;
    this.#waiting = this.#waiting.filter((one) => !isLate(one));
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#ahead.length > 0 && this.#aheadMs + next.airtimeMs > MOST_AHEAD_MS) break;
      this.#waiting.shift();
      const id = this.#nextId;
      this.#nextId = (id + 1) % ID_COUNT;
      this.#ahead.push({ id, airtimeMs: next.airtimeMs });
      this.#aheadMs += next.airtimeMs;
      due.push({ frame: next.frame, id });
    }
    this.#waitingMs = this.#waiting.reduce((sum, { airtimeMs }) => sum + airtimeMs, 0);
    return due;
  }
}
