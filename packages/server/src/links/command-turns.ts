/** Whose turn it is to say commands, for each gateway that asks. */
import type { AirCycle } from "@airlift/protocol/api/gateway";
import type { Gateway } from "@airlift/protocol/api/mesh";
import { commandTurn } from "../mesh/command-turn.ts";
import type { Stores } from "../store/ports.ts";

/** In the field: a gateway that was added is reckoned with this soon. */
const LOOK_EVERY_MS = 10_000;

export class CommandTurns {
  readonly #stores: Pick<Stores, "mesh">;
  readonly #utcMs: () => number;
  #gateways: Promise<readonly Gateway[]> | undefined;
  #lookedAtMs = 0;

  constructor(stores: Pick<Stores, "mesh">, utcMs: () => number) {
    this.#stores = stores;
    this.#utcMs = utcMs;
  }

  /** Undefined = at any time. */
  async of(gatewayId: string): Promise<AirCycle | undefined> {
    const nowMs = this.#utcMs();
    if (this.#gateways === undefined || Math.abs(nowMs - this.#lookedAtMs) >= LOOK_EVERY_MS) {
      this.#lookedAtMs = nowMs;
      this.#gateways = this.#stores.mesh.gateways.list();
      // Whoever asks next looks again.
      this.#gateways.catch(() => {
        this.#gateways = undefined;
      });
    }
    return commandTurn(await this.#gateways, gatewayId);
  }
}
