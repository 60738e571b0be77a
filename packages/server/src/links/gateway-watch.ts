/** Tells, once each, what is wrong at gateways: where they send, and what they say of themselves. */
import type { GatewayState } from "@airlift/protocol/api/gateway";
import { gatewayTroubles } from "@airlift/protocol/api/gateway-troubles";
import type { Logger } from "pino";
import type { Stores } from "../store/ports.ts";

interface Trouble {
  readonly code: string;
  readonly sentence: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

export class GatewayWatch {
  readonly #stores: Pick<Stores, "mesh">;
  readonly #log: Logger;
  /** Codes that were told of a gateway and that hold. */
  readonly #told = new Map<string, ReadonlySet<string>>();

  constructor({ stores, log }: { readonly stores: Pick<Stores, "mesh">; readonly log: Logger }) {
    this.#stores = stores;
    this.#log = log;
  }

  /** @param planned The sub-band that broadcasts are planned for; undefined = nobody knows the gateway. */
  async look(gatewayId: string, state: GatewayState, planned: string | undefined): Promise<void> {
    if (planned === undefined) return;
    const troubles = [...misplaced(state, planned), ...gatewayTroubles(state).map((one) => ({ ...one, facts: {} }))];
    const told = this.#told.get(gatewayId);
    const fresh = troubles.filter(({ code }) => told?.has(code) !== true);
    if (fresh.length > 0) await this.#tell(gatewayId, fresh);
    // What could not be put on record is told with the next batch.
    if (troubles.length === 0) this.#told.delete(gatewayId);
    else this.#told.set(gatewayId, new Set(troubles.map(({ code }) => code)));
  }

  async #tell(gatewayId: string, troubles: readonly Trouble[]): Promise<void> {
    const events = troubles.map(({ code, sentence: what, facts }) => {
      const sentence = `the gateway ${gatewayId} ${what}`;
      this.#log.warn({ gatewayId, code, ...facts }, sentence);
      return { kind: "gateway.warning" as const, sentence, facts: { gatewayId, code, ...facts } };
    });
    await this.#stores.mesh.sessions.record({ events });
  }
}

/** A gateway that does not send where it is planned for refuses all broadcasts. */
function misplaced({ ledgers }: GatewayState, planned: string): Trouble[] {
  const own = ledgers.map(({ band }) => band);
  if (own.includes(planned)) return [];
  const sends = own.length === 0 ? "in no sub-band" : `in ${own.join(", ")}`;
  const sentence = `sends ${sends}, and broadcasts are planned for ${planned}: it cannot take part`;
  return [{ code: "SUB_BAND", sentence, facts: { planned, own } }];
}
