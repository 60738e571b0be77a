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
  /** A device in queue mode listens for a while after it was heard, and not again before it is. */
  #awake = true;
  #isDeferred = false;
  #isTransferring = false;
  #isApplying = false;

  constructor(policy: UpdatePolicy) {
    this.#policy = policy;
  }

  get wakeAtMs(): number | undefined {
    return this.#dueAtMs.size === 0 ? undefined : Math.min(...this.#dueAtMs.values());
  }

  /** Whether a request would reach it. */
  get isReachable(): boolean {
    return this.#registered && this.#awake;
  }

  get isDeferred(): boolean {
    return this.#isDeferred;
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
    this.#awake = true;
    if (!registered) this.#dueAtMs.delete("poll");
  }

  get awake(): boolean {
    return this.#awake;
  }

  slept(): void {
    this.#awake = false;
    this.#dueAtMs.delete("poll");
  }

  /** It listens again. What it had to do has not gone on without it, so its limits begin anew where they ran out. */
  woke(): void {
    this.#awake = true;
    this.#unansweredCount = 0;
  }

  /** The user of the device may put the installation off for so long; only the first of many such reports counts. */
  deferred(periodMs: number, nowMs: number): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#dueAtMs.set("applyOverdue", nowMs + periodMs + this.#policy.applyTimeoutMs);
  }

  /** The device answered or came by itself; a mere sign of life does not mean that it answers. */
  heard(nowMs: number, didAnswer: boolean): void {
    this.#dueAtMs.set("silent", nowMs + this.#policy.silentAfterMs);
    if (didAnswer) this.#unansweredCount = 0;
    if (this.#isTransferring && !this.#dueAtMs.has("stalled")) this.progressed(nowMs);
    if (this.#isApplying && !this.#dueAtMs.has("applyOverdue"))
      this.#dueAtMs.set("applyOverdue", nowMs + this.#policy.applyTimeoutMs);
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
    this.#isApplying = state === "applying" || state === "confirming";
    if (!this.#isApplying) this.#dueAtMs.delete("applyOverdue");
    else if (!this.#dueAtMs.has("applyOverdue")) {
      this.#dueAtMs.set("applyOverdue", nowMs + this.#policy.applyTimeoutMs);
    }
    // An image that is held may lie for as long as its operator wants.
    if (state === "waitingToApply") this.#dueAtMs.delete("silent");
    if (!this.#dueAtMs.has("poll")) this.schedulePoll(nowMs);
  }

  schedulePoll(nowMs: number): void {
    if (!this.isReachable) return;
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
      if (due === "stalled" && !(this.isReachable && !this.isUnanswered)) continue;
      // Nobody can know what a device that sleeps has come to; when it should have woken up and has not, it counts as awake.
      if ((due === "applyOverdue" || due === "silent") && !this.#awake) continue;
      return due;
    }
    return undefined;
  }
}

const ORDER: readonly Due[] = ["applyOverdue", "stalled", "silent", "retry", "poll"];
