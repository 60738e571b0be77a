/** Updates that operators order, whatever their device is reached by. */
import type { Update } from "@airlift/protocol/api/schemas";
import type { BroadcastDelivery } from "./broadcast-delivery.ts";
import type { DeliveryEngine } from "./delivery-engine.ts";

export class AnyDevice {
  readonly #direct: DeliveryEngine;
  readonly #broadcast: BroadcastDelivery;

  constructor(direct: DeliveryEngine, broadcast: BroadcastDelivery) {
    this.#direct = direct;
    this.#broadcast = broadcast;
  }

  isRunning(updateId: string): boolean {
    return this.#direct.isRunning(updateId);
  }

  /** As `DeliveryEngine.start`. */
  async start(update: Update): Promise<void> {
    if (!(await this.#broadcast.begin(update))) await this.#direct.start(update);
  }

  /** As `DeliveryEngine.apply`. */
  async apply(updateId: string): Promise<void> {
    if (!(await this.#broadcast.command(updateId, "apply"))) await this.#direct.apply(updateId);
  }

  /** As `DeliveryEngine.cancel`. */
  async cancel(updateId: string): Promise<void> {
    if (!(await this.#broadcast.command(updateId, "cancel"))) await this.#direct.cancel(updateId);
  }

  onFetched(updateId: string, offset: number): void {
    this.#direct.onFetched(updateId, offset);
  }
}
