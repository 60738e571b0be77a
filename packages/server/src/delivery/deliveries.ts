/** All updates that are under way: which one an input is for, and which one is due next. */
import type { Core } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { UsageError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import type { DriverInput, DriverOutput, UpdateOrder, UpdateSnapshot } from "./driver-messages.ts";
import type { UpdatePolicy } from "./policy.ts";
import { UpdateDriver } from "./update-driver.ts";

export type DeliveriesInput =
  | {
      readonly kind: "begin";
      readonly order: UpdateOrder;
      readonly snapshot: UpdateSnapshot;
      readonly registered: boolean;
      readonly asleep?: boolean;
    }
  /** For the update of this device, if it has one. */
  | { readonly kind: "device"; readonly endpoint: string; readonly input: DriverInput }
  /** Another server drives it from here on. */
  | { readonly kind: "letGo"; readonly updateId: string }
  /** For this update, if it is still under way. */
  | { readonly kind: "update"; readonly updateId: string; readonly input: DriverInput }
  | { readonly kind: "wake" };

export interface DeliveriesOutput {
  readonly order: UpdateOrder;
  readonly output: DriverOutput;
}

/** Updates under way at once; one more is refused. 100,000 cost some 100 MB. */
export const DEFAULT_UPDATE_LIMIT = 100_000;

export class Deliveries implements Core<DeliveriesInput, DeliveriesOutput> {
  readonly #policy: UpdatePolicy;
  readonly #limit: number;
  readonly #running = new Map<string, { order: UpdateOrder; driver: UpdateDriver }>();
  readonly #updateOfEndpoint = new Map<string, string>();
  readonly #deadlines = new Deadlines<string>();

  constructor(policy: UpdatePolicy, limit = DEFAULT_UPDATE_LIMIT) {
    this.#policy = policy;
    this.#limit = limit;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** The update of a device that is under way. */
  updateOf(endpoint: string): string | undefined {
    return this.#updateOfEndpoint.get(endpoint);
  }

  /** What is known of an update that is under way. */
  snapshotOf(updateId: string): UpdateSnapshot | undefined {
    return this.#running.get(updateId)?.driver.snapshot;
  }

  /** @throws {UsageError} `UPDATE_FINISHED`, `UPDATE_STATE` when the update's state does not let the operator do this. */
  assertAllowed(updateId: string, command: "apply" | "hold" | "cancel"): void {
    const running = this.#running.get(updateId);
    if (!running) throw new UsageError("UPDATE_FINISHED", "the update has ended", { updateId });
    // Whoever may not do what it was told to any more is told so, however far it is.
    if (command === "hold" || running.driver.allows(command)) return;
    const { state } = running.driver.snapshot;
    throw new UsageError("UPDATE_STATE", `an update that is ${state} cannot be told to ${command}`, {
      updateId,
      state,
    });
  }

  /** @throws {UsageError} `UPDATE_RUNNING` for a second update of one device, `UPDATES_FULL` beyond the limit. */
  step(input: DeliveriesInput, nowMs: number): DeliveriesOutput[] {
    switch (input.kind) {
      case "begin":
        return this.#begin(input, nowMs);
      case "device":
        return this.#feed(this.#updateOfEndpoint.get(input.endpoint), input.input, nowMs);
      case "update":
        return this.#feed(input.updateId, input.input, nowMs);
      case "letGo":
        return this.#letGo(input.updateId);
      case "wake":
        return this.#wakeDue(nowMs);
    }
  }

  #letGo(updateId: string): DeliveriesOutput[] {
    const running = this.#running.get(updateId);
    if (running) this.#forget(running.order);
    return [];
  }

  #begin(input: Extract<DeliveriesInput, { kind: "begin" }>, nowMs: number): DeliveriesOutput[] {
    const { order, snapshot, registered, asleep = false } = input;
    if (this.#updateOfEndpoint.has(order.endpoint)) {
      throw new UsageError("UPDATE_RUNNING", `${order.endpoint} has an update under way`, { endpoint: order.endpoint });
    }
    if (this.#running.size >= this.#limit) {
      throw new UsageError("UPDATES_FULL", `${this.#limit} updates are under way; wait for some to end`);
    }
    this.#running.set(order.updateId, { order, driver: new UpdateDriver(order, this.#policy, snapshot) });
    this.#updateOfEndpoint.set(order.endpoint, order.updateId);
    return this.#feed(order.updateId, { kind: "start", registered, asleep }, nowMs);
  }

  #feed(updateId: string | undefined, input: DriverInput, nowMs: number): DeliveriesOutput[] {
    const running = updateId === undefined ? undefined : this.#running.get(updateId);
    if (!running) return [];
    const { order, driver } = running;
    const outputs = driver.step(input, nowMs).map((output) => ({ order, output }));
    if (isFinalUpdateState(driver.snapshot.state)) this.#forget(order);
    else this.#schedule(order.updateId, driver.wakeAtMs);
    return outputs;
  }

  #schedule(updateId: string, wakeAtMs: number | undefined): void {
    if (wakeAtMs === undefined) this.#deadlines.delete(updateId);
    else this.#deadlines.set(updateId, wakeAtMs);
  }

  #forget({ updateId, endpoint }: UpdateOrder): void {
    this.#running.delete(updateId);
    this.#updateOfEndpoint.delete(endpoint);
    this.#deadlines.delete(updateId);
  }

  #wakeDue(nowMs: number): DeliveriesOutput[] {
    const due: string[] = [];
    for (let id = this.#deadlines.popDue(nowMs); id !== undefined; id = this.#deadlines.popDue(nowMs)) due.push(id);
    return due.flatMap((updateId) => this.#feed(updateId, { kind: "wake" }, nowMs));
  }
}
