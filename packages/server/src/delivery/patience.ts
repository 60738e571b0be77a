/** When one update's driver has to act by itself: the limits that progress moves, and the next time to ask. */
import type { UpdateState } from "@airlift/protocol/update/device-update";
import type { UpdatePolicy } from "./policy.ts";

/** What has come due: a limit of the update, the pause before the next transfer, or the next look. */
export type Due = "applyOverdue" | "stalled" | "silent" | "retry" | "poll";

/** A device that does not answer is asked ever more rarely, up to this often. */
const LONGEST_POLL_MS = 15 * 60_000;
const MOST_DOUBLINGS = 10;

export class Patience {
  readonly #policy: UpdatePolicy;
  readonly #dueAtMs = new Map<Due, number>();
  #unansweredCount = 0;
  /** Only a registered device can be asked; any other is waited for. */
  #registered = false;
  #isTransferring = false;

  constructor(policy: UpdatePolicy) {
    this.#policy = policy;
  }

  get wakeAtMs(): number | undefined {
    return this.#dueAtMs.size === 0 ? undefined : Math.min(...this.#dueAtMs.values());
  }

  get isRegistered(): boolean {
    return this.#registered;
  }

  /** Requests since the last answer that had none. */
  get isUnanswered(): boolean {
    return this.#unansweredCount > 0;
  }

  get isWaitingToRetry(): boolean {
    return this.#dueAtMs.has("retry");
  }

  set registered(registered: boolean) {
    this.#registered = registered;
    if (!registered) this.#dueAtMs.delete("poll");
  }

  /** The device answered or came by itself; a mere sign of life does not mean that it answers. */
  heard(nowMs: number, didAnswer: boolean): void {
    this.#dueAtMs.set("silent", nowMs + this.#policy.silentAfterMs);
    if (didAnswer) this.#unansweredCount = 0;
    if (this.#isTransferring && !this.#dueAtMs.has("stalled")) this.progressed(nowMs);
  }

  unanswered(): void {
    this.#unansweredCount += 1;
  }

  /** Bytes were acknowledged. */
  progressed(nowMs: number): void {
    this.#dueAtMs.set("stalled", nowMs + this.#policy.stallTimeoutMs);
  }

  /** The limits of a state, when the update has come into it or is taken up in it. */
  entered(state: UpdateState, nowMs: number): void {
    this.#isTransferring = state === "transferring";
    if (this.#isTransferring) this.progressed(nowMs);
    else this.#dueAtMs.delete("stalled");
    const isApplying = state === "applying" || state === "confirming";
    if (!isApplying) this.#dueAtMs.delete("applyOverdue");
    else if (!this.#dueAtMs.has("applyOverdue")) {
      this.#dueAtMs.set("applyOverdue", nowMs + this.#policy.applyTimeoutMs);
    }
    // An image that is held may lie for as long as its operator wants.
    if (state === "waitingToApply") this.#dueAtMs.delete("silent");
    if (!this.#dueAtMs.has("poll")) this.schedulePoll(nowMs);
  }

  schedulePoll(nowMs: number): void {
    if (!this.#registered) return;
    const { pollIntervalMs } = this.#policy;
    const pauseMs = pollIntervalMs * 2 ** Math.min(this.#unansweredCount, MOST_DOUBLINGS);
    this.#dueAtMs.set("poll", nowMs + Math.min(pauseMs, Math.max(pollIntervalMs, LONGEST_POLL_MS)));
  }

  /** The pause after so many transfers. */
  retryDelayMs(transferCount: number): number {
    return this.#policy.retryDelayMs * 2 ** Math.max(0, transferCount - 1);
  }

  scheduleRetry(transferCount: number, nowMs: number): void {
    this.#dueAtMs.set("retry", nowMs + this.retryDelayMs(transferCount));
  }

  /** The most important thing that is due, once; a limit before a question. */
  takeDue(nowMs: number): Due | undefined {
    for (const due of ORDER) {
      if ((this.#dueAtMs.get(due) ?? Number.POSITIVE_INFINITY) > nowMs) continue;
      this.#dueAtMs.delete(due);
      // A device without power or link is waited for until it counts as silent: it may still go on where it stopped.
      if (due !== "stalled" || (this.#registered && !this.isUnanswered)) return due;
    }
    return undefined;
  }
}

const ORDER: readonly Due[] = ["applyOverdue", "stalled", "silent", "retry", "poll"];
