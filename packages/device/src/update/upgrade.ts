/**
 * When the downloaded image is installed, who wanted it, and how long a user may put it off: Maximum Defer Period
 * (/5/0/13) and the deadline that follows from it.
 */
import type { UpgradeOrder } from "../ports.ts";
import type { Persisted } from "./persisted.ts";

/** A wall clock may be set while a deferral waits for its deadline: it is looked at this often. */
export const DEADLINE_CHECK_MS = 60 * 60_000;

export interface UpgradeOptions {
  /** Wall-clock time, for deadlines: they outlive a restart. */
  readonly utcMs: () => number;
  /** From the order until `performUpgrade`. */
  readonly delayMs: number;
  /** Whether the object has a result for it: version 1.0 has not. */
  readonly allowsDeferral: boolean;
}

export class Upgrade {
  readonly #options: UpgradeOptions;
  #by: UpgradeOrder["by"] = "server";
  /** What `performUpgrade` was told last in this run. */
  #order: UpgradeOrder | undefined;
  #installAtMs: number | undefined;
  #deadlineCheckAtMs: number | undefined;

  constructor(options: UpgradeOptions) {
    this.#options = options;
  }

  get wakeAtMs(): number | undefined {
    return this.#installAtMs ?? this.#deadlineCheckAtMs;
  }

  /** Somebody wants the installation; the facts that this sets. An order of the server's begins the defer period anew. */
  want(by: UpgradeOrder["by"], facts: Persisted): Partial<Persisted> {
    this.#by = by;
    return by === "accepted" || by === "deadline" ? {} : { updateDeadlineAtS: this.#deadlineFromNow(facts) };
  }

  /** The update is put off; what this sets. One that nobody has ordered yet, or under no period, gets its deadline now. */
  deferred(facts: Persisted): Partial<Persisted> {
    if (facts.state === "downloading" || facts.updateDeadlineAtS !== undefined) return {};
    return { updateDeadlineAtS: this.#deadlineFromNow(facts) };
  }

  /** The update has moved on, and installs now or does not. */
  moved(installs: boolean, nowMs: number): void {
    this.#order = undefined;
    this.#installAtMs = installs ? nowMs + this.#options.delayMs : undefined;
  }

  isDue(nowMs: number): boolean {
    return this.#installAtMs !== undefined && this.#installAtMs <= nowMs;
  }

  /** What `performUpgrade` is told. */
  begin(facts: Persisted): UpgradeOrder {
    this.#installAtMs = undefined;
    this.#order = { by: this.#by, mayDefer: this.#isDeferrable(facts), severity: facts.severity };
    return this.#order;
  }

  /** Whether the update may be put off: what is installing, by the order it was given. */
  mayDefer(facts: Persisted): boolean {
    return this.#order?.mayDefer ?? this.#isDeferrable(facts);
  }

  /** Whether a deferred update has to begin; if it has to later, `wakeAtMs` says when to ask again. */
  isOverdue({ state, result, updateDeadlineAtS }: Persisted, nowMs: number): boolean {
    this.#deadlineCheckAtMs = undefined;
    if (state !== "downloaded" || result !== "deferred" || updateDeadlineAtS === undefined) return false;
    const untilMs = updateDeadlineAtS * 1000 - this.#options.utcMs();
    if (untilMs > 0) this.#deadlineCheckAtMs = nowMs + Math.min(untilMs, DEADLINE_CHECK_MS);
    return untilMs <= 0;
  }

  #deadlineFromNow({ maximumDeferPeriodS = 0 }: Persisted): number | undefined {
    // Not a moment less than the user was promised.
    const nowS = Math.ceil(this.#options.utcMs() / 1000);
    return maximumDeferPeriodS > 0 ? nowS + maximumDeferPeriodS : undefined;
  }

  #isDeferrable({ maximumDeferPeriodS, updateDeadlineAtS }: Persisted): boolean {
    const isInTime = updateDeadlineAtS === undefined || this.#options.utcMs() < updateDeadlineAtS * 1000;
    return this.#options.allowsDeferral && maximumDeferPeriodS !== 0 && isInTime;
  }
}
