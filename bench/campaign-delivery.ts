/** Delivery to devices that do what they are told, for measuring what runs campaigns: every step is on record, no datagram is sent. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Update } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import { newSnapshot } from "@airlift/server/delivery/driver-messages";
import type { Stores, UnfinishedUpdate } from "@airlift/server/store/ports";

export interface InstantDeliveryOptions {
  readonly updates: Stores["updates"];
  /** What a device takes for each step. Default 0. */
  readonly stepMs?: number;
  /** Whether the update of a device fails when it installs. Default: none does. */
  readonly fails?: (endpoint: string) => boolean;
  /** A transition is on record. */
  readonly onTransition: (update: Update) => void;
}

/** What follows by itself; at `waitingToApply` the campaign has the word. */
const NEXT: Readonly<Partial<Record<UpdateState, UpdateState>>> = {
  queued: "transferring",
  transferring: "waitingToApply",
  downloaded: "applying",
  applying: "confirming",
  confirming: "succeeded",
};

/** Too late to be stopped. */
const isInstalling = ({ state }: Update): boolean => state === "applying" || state === "confirming";

export class InstantDelivery {
  readonly #options: InstantDeliveryOptions;
  readonly #running = new Map<string, Update>();

  constructor(options: InstantDeliveryOptions) {
    this.#options = options;
  }

  isRunning(updateId: string): boolean {
    return this.#running.has(updateId);
  }

  letGo(): void {}
  letGoAll(): void {}
  async resume(): Promise<void> {}

  takeOver(claimed: readonly UnfinishedUpdate[]): Promise<void> {
    return this.restore(claimed);
  }

  async restore(unfinished: readonly UnfinishedUpdate[]): Promise<void> {
    for (const { update } of unfinished) {
      if (this.#running.has(update.id)) continue;
      this.#running.set(update.id, update);
      void this.#drive(update);
    }
  }

  async apply(updateId: string): Promise<void> {
    const update = this.#running.get(updateId);
    if (update !== undefined) void this.#drive(await this.#go(update, "downloaded"));
  }

  /** Who is told to apply does so at once. */
  async hold(): Promise<void> {}

  async cancel(updateId: string): Promise<void> {
    const update = this.#running.get(updateId);
    if (update !== undefined && !isInstalling(update)) await this.#go(update, "cancelled");
  }

  async #drive(update: Update): Promise<void> {
    const { stepMs = 0, fails } = this.#options;
    for (let now = update, next = NEXT[now.state]; next !== undefined; next = NEXT[now.state]) {
      if (stepMs > 0) await sleep(stepMs);
      try {
        now = await this.#go(now, next === "succeeded" && fails?.(now.endpoint) ? "failed" : next);
      } catch (error) {
        if (error instanceof UsageError && error.code === "UPDATE_FINISHED") return;
        throw error;
      }
    }
  }

  async #go(update: Update, state: UpdateState): Promise<Update> {
    const apply = update.apply || state === "downloaded";
    const after = await this.#options.updates.transition(update.id, {
      state,
      ...(state === "failed" && { failure: "updateFailed" as const }),
      sentence: `the device is ${state}`,
      snapshot: { ...newSnapshot(apply), state },
      apply,
    });
    if (isFinalUpdateState(state)) this.#running.delete(update.id);
    else this.#running.set(update.id, after);
    this.#options.onTransition(after);
    return after;
  }
}
