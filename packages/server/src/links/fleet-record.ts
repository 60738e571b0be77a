/** What becomes of devices, as it is kept: their registrations, their reports and the remarks on their timelines. */
import type { Logger } from "pino";
import type { Registration } from "../fleet/registration.ts";
import type { KeptRegistration, NewEvent, Stores } from "../store/ports.ts";
import type { KnownOfDevice } from "./errands.ts";

export type RegistrationEnd = "deregistered" | "withdrawn" | "barred" | "expired";

/** Nothing here waits: the store takes what it is given when it can. */
export class FleetRecord {
  readonly #stores: Pick<Stores, "devices" | "remarks" | "nodes">;
  readonly #log: Logger;
  /** By endpoint, how many of its registrations are neither stored nor lost. */
  readonly #arriving = new Map<string, number>();

  constructor(stores: Pick<Stores, "devices" | "remarks" | "nodes">, log: Logger) {
    this.#stores = stores;
    this.#log = log;
  }

  save(registration: Registration, presence: KeptRegistration["presence"]): void {
    if (this.#stores.devices.queueSave([{ ...registration, presence }])) return;
    this.#log.warn({ endpoint: registration.endpoint }, "a registration could not be queued for the database");
  }

  remark(kind: "device.registered" | "device.deregistered" | "device.expired", device: Registration, sentence: string) {
    const { endpoint, address, transport } = device;
    const { nodes, remarks } = this.#stores;
    const event = { kind, endpoint, sentence, facts: { address, transport, node: nodes.id } };
    if (kind !== "device.registered") return remarks.put(event);
    this.#arriving.set(endpoint, (this.#arriving.get(endpoint) ?? 0) + 1);
    remarks.put(event, () => this.#arrived(endpoint));
  }

  /**
   * Whether a device has registered here and that is not among the events yet. What other servers are heard to say of it until then
   * was before.
   */
  isArriving(endpoint: string): boolean {
    return this.#arriving.has(endpoint);
  }

  append(event: NewEvent): void {
    this.#stores.remarks.put(event);
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
