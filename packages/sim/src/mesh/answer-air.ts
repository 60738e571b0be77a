/** The air on which devices answer a poll: two at once are both lost. */

const ANSWER_MS = 7;

/** One answer on its way. */
export interface AnswerOnAir {
  readonly endMs: number;
  /** Final when it ends. */
  readonly isLost: boolean;
}

export class AnswerAir {
  #onAir: { readonly endMs: number; isLost: boolean }[] = [];

  /** @param isLost Whether it would be lost all alone. */
  begin(nowMs: number, isLost: boolean): AnswerOnAir {
    const answer = { endMs: nowMs + ANSWER_MS, isLost };
    this.#onAir = this.#onAir.filter((other) => other.endMs > nowMs);
    for (const other of this.#onAir) {
      other.isLost = true;
      answer.isLost = true;
    }
    this.#onAir.push(answer);
    return answer;
  }
}
