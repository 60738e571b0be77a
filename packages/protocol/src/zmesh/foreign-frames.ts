/**
 * Frames whose MAC is not the network key's: of another network, damaged, or of this one when the key is wrong, which is silence on
 * both ends. Source: profile 5.
 */

/** A frame or two may be damaged. */
const LEAST_COUNT = 8;
/** In the field: a log that says so once an hour is read, and not filled. */
const TELL_EVERY_MS = 3_600_000;

/** Of what was heard, so much could not be opened. */
export interface HeardCounts {
  readonly heardCount: number;
  readonly foreignCount: number;
}

/** Counts what is heard, and says when somebody should be told: at first, and once an hour while it goes on. */
export class ForeignFrames implements HeardCounts {
  heardCount = 0;
  foreignCount = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  /** Whether they are so many that the key may be wrong: eight, and at least half of all. */
  get isMost(): boolean {
    return this.foreignCount >= LEAST_COUNT && 2 * this.foreignCount >= this.heardCount;
  }

  /** @param code Of the refusal; undefined = it was opened. @returns Whether somebody should be told now. */
  hear(code: string | undefined, nowMs: number): boolean {
    this.heardCount += 1;
    if (code !== "FRAME_MAC") return false;
    this.foreignCount += 1;
    if (!this.isMost || nowMs - this.#toldAtMs < TELL_EVERY_MS) return false;
    this.#toldAtMs = nowMs;
    return true;
  }
}
