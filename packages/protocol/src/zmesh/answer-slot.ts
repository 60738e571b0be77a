/** The answer to a poll that a device has planned: in a slot of its own choosing, unless another device's word makes it needless. */
import type { Random } from "../lib/core.ts";
import type { Poll } from "./command.ts";

export class AnswerSlot {
  readonly #random: Random;
  #planned: { readonly atMs: number; readonly deficit: number } | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** When it is due; `undefined` = there is none. */
  get dueAtMs(): number | undefined {
    return this.#planned?.atMs;
  }

  /** In place of an earlier one. @param poll With slots that have a length. @param deficit Packets that the device lacks. */
  plan({ slotCount, slotMs }: Poll, deficit: number, nowMs: number): void {
    this.#planned = { atMs: nowMs + Math.floor(this.#random() * slotCount) * slotMs, deficit };
  }

  /** The sender sends enough for whoever lacks most. */
  overhear(deficit: number): void {
    if (this.#planned && deficit >= this.#planned.deficit) this.drop();
  }

  drop(): void {
    this.#planned = undefined;
  }

  /** Whether it is to be said now; then it is planned no more. */
  take(nowMs: number): boolean {
    if (this.#planned === undefined || this.#planned.atMs > nowMs) return false;
    this.drop();
    return true;
  }
}
