/** What becomes of devices, as it is kept: their registrations, their reports and the remarks on their timelines. */
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import type { Registration } from "../fleet/registration.ts";
import type { KeptRegistration, NewEvent, Stores } from "../store/ports.ts";
import type { KnownOfDevice } from "./errands.ts";

export type RegistrationEnd = "deregistered" | "withdrawn" | "barred" | "expired";

/** Events of one statement. */
const EVENTS_AT_ONCE = 1_000;

/** Nothing here waits: the store takes what it is given when it can, and says in the log when it could not. */
export class FleetRecord {
  readonly #stores: Pick<Stores, "devices" | "events" | "nodes">;
  readonly #log: Logger;
  /** What happened in this turn and is not stored yet. */
  readonly #events: NewEvent[] = [];
  /** By endpoint, how many of its registrations are not stored yet. */
  readonly #arriving = new Map<string, number>();

  constructor(stores: Pick<Stores, "devices" | "events" | "nodes">, log: Logger) {
    this.#stores = stores;
    this.#log = log;
  }

  save(registration: Registration, presence: KeptRegistration["presence"]): void {
    if (this.#stores.devices.queueSave([{ ...registration, presence }])) return;
    this.#log.warn({ endpoint: registration.endpoint }, "a registration could not be queued for the database");
  }

  remark(kind: "device.registered" | "device.deregistered" | "device.expired", device: Registration, sentence: string) {
    const { endpoint, address, transport } = device;
    if (kind === "device.registered") this.#arriving.set(endpoint, (this.#arriving.get(endpoint) ?? 0) + 1);
    this.append({ kind, endpoint, sentence, facts: { address, transport, node: this.#stores.nodes.id } });
  }

  /**
   * Whether a device has registered here and that is not among the events yet. What other servers are heard to say of it until then
   * was before.
   */
  isArriving(endpoint: string): boolean {
    return this.#arriving.has(endpoint);
  }

  /** Soon, in one statement with whatever else happens in this turn: a fleet that expires at once is no flood. */
  append(event: NewEvent): void {
    this.#events.push(event);
    if (this.#events.length === 1) setImmediate(() => this.#storeEvents());
  }

  #storeEvents(): void {
    while (this.#events.length > 0) {
      const events = this.#events.splice(0, EVENTS_AT_ONCE);
      const count = events.length;
      const stored = this.#stores.events.appendAll(events).catch((error) => {
        if (error instanceof AirliftError) this.#log.warn({ code: error.code, count }, "events could not be stored");
        else this.#log.error({ err: error, count }, "storing events failed");
      });
      void stored.then(() => {
        for (const { kind, endpoint } of events)
          if (kind === "device.registered" && typeof endpoint === "string") this.#arrived(endpoint);
      });
    }
  }

  #arrived(endpoint: string): void {
    const left = (this.#arriving.get(endpoint) ?? 0) - 1;
    if (left > 0) this.#arriving.set(endpoint, left);
    else this.#arriving.delete(endpoint);
  }

  keepReport(endpoint: string, report: KnownOfDevice): void {
    const { firmware } = report;
    this.#stores.devices.queueReport({
      endpoint,
      version: report.version,
      manufacturer: report.manufacturer,
      model: report.model,
      hardware: report.hardware,
      battery: report.battery,
      utcOffset: report.utcOffset,
      timezone: report.timezone,
      firmware: firmware && {
        state: firmware.state,
        result: firmware.result,
        packageName: firmware.packageName,
        packageVersion: firmware.packageVersion,
        protocols: firmware.protocols === null ? null : [...firmware.protocols],
        deliveryMethod: firmware.deliveryMethod,
      },
    });
  }
}

const ENDED: Readonly<Record<RegistrationEnd, string>> = {
  deregistered: "the device de-registered",
  withdrawn: "the registration was ended: the device's credential was withdrawn",
  barred: "the registration was ended: it was made without the credential that the device now has to use",
  expired: "the registration expired",
};

/** How a registration began, for the device's timeline. */
export function sentenceOfStart({ lwm2mVersion, lifetimeS, binding, transport }: Registration): string {
  return `the device registered (LwM2M ${lwm2mVersion} over ${transport}, binding ${binding}, lifetime ${lifetimeS} s)`;
}

/** How a registration ended, for the device's timeline. */
export const sentenceOfEnd = (end: RegistrationEnd): string => ENDED[end];
