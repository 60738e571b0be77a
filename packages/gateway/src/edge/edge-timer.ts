/** One timer that is armed for the next thing that is due. */

/** The longest delay a timer of Node can hold. */
const LONGEST_MS = 2 ** 31 - 1;

export class EdgeTimer {
  #timer: NodeJS.Timeout | undefined;
  readonly #due: () => void;

  constructor(due: () => void) {
    this.#due = due;
  }

  /** Arms it anew; 0 or less = as soon as possible, infinity = never. */
  arm(delayMs: number): void {
    clearTimeout(this.#timer);
    if (Number.isFinite(delayMs))
      this.#timer = setTimeout(this.#due, Math.min(LONGEST_MS, Math.max(0, Math.ceil(delayMs))));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
