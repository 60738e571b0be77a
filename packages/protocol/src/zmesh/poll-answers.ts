/** Who has answered a poll, and what follows from it. */
import { isLate, isPullCheaper, type LossAssumption, lossAfter, repairsForDeficit } from "./repair-plan.ts";

/** Answers to one poll that are remembered; beyond, only the largest deficits matter anyway. */
export const MAX_ANSWERS = 4096;

export class PollAnswers {
  readonly #deficits = new Map<string, number>();

  get count(): number {
    return this.#deficits.size;
  }

  /** 0 when nobody has answered. */
  get largest(): number {
    let largest = 0;
    for (const deficit of this.#deficits.values()) largest = Math.max(largest, deficit);
    return largest;
  }

  /** Of all deficits. */
  get total(): number {
    let total = 0;
    for (const deficit of this.#deficits.values()) total += deficit;
    return total;
  }

  clear(): void {
    this.#deficits.clear();
  }

  /** Whether this is the device's first answer to the poll. */
  take(device: string, deficit: number): boolean {
    const isFirst = !this.#deficits.has(device);
    if (isFirst && this.#deficits.size >= MAX_ANSWERS && !this.#makeRoom(deficit)) return true;
    this.#deficits.set(device, deficit);
    return isFirst;
  }

  /** How those who answered get complete. @param sentRepairs Parity chunks so far. @param canPull Whether they may be able to ask. */
  remedy(
    assumption: LossAssumption,
    { sentRepairs, canPull }: { readonly sentRepairs: number; readonly canPull: boolean },
  ): "needsParity" | "needsHead" | "needsPull" {
    const loss = this.#loss(assumption, sentRepairs);
    if (canPull && isPullCheaper([...this.#deficits.values()], loss)) return "needsPull";
    return isLate(this.largest, assumption) ? "needsHead" : "needsParity";
  }

  /** Parity chunks for the one that needs most. */
  repairs(assumption: LossAssumption, sentRepairs: number): number {
    return repairsForDeficit(this.largest, this.#loss(assumption, sentRepairs));
  }

  #loss(assumption: LossAssumption, sentRepairs: number): number {
    const { largest } = this;
    if (isLate(largest, assumption)) return assumption.loss;
    return lossAfter(assumption, { sentCount: assumption.dataCount + sentRepairs, deficit: largest });
  }

  /** Forgets the least answer if it is less than `deficit`. */
  #makeRoom(deficit: number): boolean {
    const [device, least] = [...this.#deficits].reduce((a, b) => (b[1] < a[1] ? b : a));
    return least < deficit && this.#deficits.delete(device);
  }
}
