/** Devices that have registered, or told something new, for the campaigns that wait for them: gathered, so that a fleet that wakes at once is a few statements. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import type { Candidate } from "../campaign/device.ts";
import type { CampaignEngine } from "../campaign/engine.ts";
import type { StoredDevice, Stores } from "../store/ports.ts";
import type { DeliveryEngine } from "./delivery-engine.ts";

export interface DeviceNewsOptions {
  readonly stores: Pick<Stores, "campaigns" | "devices" | "updates">;
  readonly delivery: Pick<DeliveryEngine, "takeOver">;
  readonly engine: Pick<CampaignEngine, "devicesChanged">;
  readonly utcMs: () => number;
  /** Some campaigns may have something to do now. */
  readonly onWoken: () => void;
  readonly log: Logger;
}

/** How long the first one waits for company; a report follows a registration within it. */
const GATHER_MS = 250;
/** Devices of one statement. */
const DEVICES_AT_ONCE = 1_000;
/** Devices that may wait while the database is away; one beyond is looked at when it is heard of next. */
const WAITING_LIMIT = 100_000;

export class DeviceNews {
  readonly #options: DeviceNewsOptions;
  /** Endpoints, and whether they have registered. */
  readonly #waiting = new Map<string, boolean>();
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> | undefined;

  constructor(options: DeviceNewsOptions) {
    this.#options = options;
  }

  add(endpoint: string, hasRegistered: boolean): void {
    if (this.#waiting.size >= WAITING_LIMIT) return;
    this.#waiting.set(endpoint, hasRegistered || this.#waiting.get(endpoint) === true);
    this.#timer ??= setTimeout(() => void this.flush(), GATHER_MS).unref();
  }

  /** Tells what has been gathered; never throws. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
    });
    return this.#telling;
  }

  async close(): Promise<void> {
    this.#waiting.clear();
    await this.flush();
  }

  async #tellAll(): Promise<void> {
    const { log } = this.#options;
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, DEVICES_AT_ONCE);
      for (const [endpoint] of batch) this.#waiting.delete(endpoint);
      try {
        await this.#tell(batch);
      } catch (error) {
        if (error instanceof EnvironmentError) {
          for (const [endpoint, hasRegistered] of batch) this.add(endpoint, hasRegistered);
          return;
        }
        log.error({ err: error, count: batch.length }, "campaigns could not be told of devices");
      }
    }
  }

  async #tell(batch: readonly (readonly [string, boolean])[]): Promise<void> {
    const { stores, delivery, engine, utcMs, onWoken } = this.#options;
    // The campaigns look at what is on record.
    await stores.devices.flush();
    const registered = batch.flatMap(([endpoint, hasRegistered]) => (hasRegistered ? [endpoint] : []));
    if (registered.length > 0) await delivery.takeOver(await stores.updates.claimOf(registered));
    const endpoints = batch.map(([endpoint]) => endpoint);
    if ((await stores.campaigns.continuous()).length > 0) {
      const devices = await stores.devices.getMany(endpoints);
      await engine.devicesChanged([...devices.values()].map(factsOf), utcMs());
    } else await stores.campaigns.wakeDevices(endpoints, utcMs());
    onWoken();
  }
}

/** A device as queries see it. */
function factsOf(device: StoredDevice): Candidate["device"] {
  const { endpoint, manufacturer, model, version, hardware, tags, presence, signal, cell, resources } = device;
  return {
    endpoint,
    manufacturer,
    model,
    version,
    hardware,
    tags,
    presence,
    lastSeenAtMs: Date.parse(device.lastSeenAt),
    signalDbm: signal,
    cell,
    resources: resources as Candidate["device"]["resources"],
    timeZone: device.timezone,
    utcOffset: device.utcOffset,
  };
}
