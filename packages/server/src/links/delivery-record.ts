/** What of updates is kept: each transition before anything follows from it, and what is told to people beside. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Update } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import type { Logger } from "pino";
import { ASKS_TO_APPLY, IS_HOLD } from "../delivery/device-update.ts";
import type { DriverOutput, UpdateOrder } from "../delivery/driver-messages.ts";
import { packageOf } from "../delivery/package-choice.ts";
import type { Stores } from "../store/ports.ts";

export type Transition = Extract<DriverOutput, { kind: "transition" }>;

export interface DeliveryRecordOptions {
  readonly stores: Pick<Stores, "devices" | "updates" | "remarks">;
  readonly log: Logger;
  /** Nothing is tried again once this is aborted. */
  readonly closing: AbortSignal;
}

/** A transition that the database cannot take now is tried again this often; meanwhile the update stands still. */
const STORE_RETRY_MS = 1_000;

export class DeliveryRecord {
  readonly #options: DeliveryRecordOptions;
  #smallerBlocksCount = 0;

  constructor(options: DeliveryRecordOptions) {
    this.#options = options;
  }

  /** How often a device refused a block of a package with 4.13 and got smaller ones, since the start. */
  get smallerBlocksCount(): number {
    return this.#smallerBlocksCount;
  }

  /** A decision is never lost: while the database is away, the update waits with it. */
  async store(order: UpdateOrder, transition: Transition, isWanted: () => boolean): Promise<Update> {
    const { snapshot, sentence, event } = transition;
    const change = {
      state: snapshot.state,
      failure: snapshot.failure,
      sentence,
      method: snapshot.choice?.kind ?? null,
      totalBytes: packageOf(order, snapshot).sizeBytes,
      acknowledgedBytes: snapshot.acknowledgedBytes,
      apply: snapshot.apply,
      snapshot,
      facts: { event },
      ...(ASKS_TO_APPLY.has(event) && { permit: true }),
      ...(IS_HOLD.has(event) && { permit: false }),
    };
    const { devices, updates } = this.#options.stores;
    const store = async () => {
      // Whoever reads that an update has ended must find the device as it was reported, not as it was before.
      if (isFinalUpdateState(snapshot.state)) await devices.flush();
      return await updates.transition(order.updateId, change);
    };
    return await this.untilStored(order.updateId, store, isWanted);
  }

  /** Tries again for as long as the database is away. */
  async untilStored<Result>(updateId: string, work: () => Promise<Result>, isWanted = () => true): Promise<Result> {
    const { closing, log } = this.#options;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof EnvironmentError) || closing.aborted || !isWanted()) throw error;
        log.warn({ code: error.code, updateId }, "an update waits for the database");
        await sleep(STORE_RETRY_MS, undefined, { signal: closing }).catch(() => {});
      }
    }
  }

  /** For people: nothing depends on it, so nothing waits for it. */
  keepPackageUri(updateId: string, uri: string): void {
    const { stores, log } = this.#options;
    stores.updates.setPackageUri(updateId, uri).catch((error) => {
      if (error instanceof EnvironmentError)
        log.warn({ code: error.code, updateId }, "a Package URI could not be stored");
      else log.error({ err: error, updateId }, "storing a Package URI failed");
    });
  }

  /** As `keepPackageUri`: the device refused a block of the package as too large. */
  noteSmallerBlocks({ updateId, endpoint }: UpdateOrder, blockBytes: number): void {
    this.#smallerBlocksCount += 1;
    const sentence = `the device refused a block as too large (4.13): the push starts over in blocks of ${blockBytes} octets`;
    this.#options.stores.remarks.put({ kind: "update.note", endpoint, updateId, sentence, facts: { blockBytes } });
  }
}
