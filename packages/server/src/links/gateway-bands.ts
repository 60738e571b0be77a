/** Tells operators of gateways that do not send where broadcasts are planned for them. */
import type { GatewayState } from "@airlift/protocol/api/gateway";
import type { Logger } from "pino";
import type { Stores } from "../store/ports.ts";

export class GatewayBands {
  readonly #stores: Pick<Stores, "mesh">;
  readonly #log: Logger;
  /** Of which it was told. */
  readonly #misplaced = new Set<string>();

  constructor(stores: Pick<Stores, "mesh">, log: Logger) {
    this.#stores = stores;
    this.#log = log;
  }

  /** Such a gateway refuses all broadcasts: it is told once. @param planned Undefined when the gateway is not known. */
  async check(gatewayId: string, planned: string | undefined, { ledgers }: GatewayState): Promise<void> {
    const own = ledgers.map(({ band }) => band);
    if (planned === undefined || own.includes(planned)) {
      this.#misplaced.delete(gatewayId);
      return;
    }
    if (this.#misplaced.has(gatewayId)) return;
    this.#misplaced.add(gatewayId);
    const sends = own.length === 0 ? "in no sub-band" : `in ${own.join(", ")}`;
    const sentence = `the gateway ${gatewayId} sends ${sends}, and broadcasts are planned for ${planned}: it cannot take part`;
    this.#log.warn({ gatewayId, planned, own }, sentence);
    const event = { kind: "gateway.warning" as const, sentence, facts: { gatewayId, planned, own } };
    await this.#stores.mesh.sessions.record({ events: [event] });
  }
}
