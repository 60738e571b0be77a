/** Many simulated devices in one process. They share nothing but the process: each has its own agent and socket. */
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { UpdateAgentOptions } from "@airlift/device/agent-options";
import type { UnconditionalHandlers } from "@airlift/device/ports";
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import { SimulatedFirmware } from "./simulated-firmware.ts";
import { type Temper, type TemperShares, temperOf } from "./temper.ts";

export interface FleetOptions extends Pick<UpdateAgentOptions, "lifetimeS" | "lwm2mVersion" | "methods"> {
  readonly server: string;
  readonly count: number;
  /** What each device proves itself with, by its endpoint name; absent: nothing. */
  readonly credentialsOf?: (endpoint: string) => UpdateAgentOptions["credentials"];
  /** Endpoint names are this, a dash and a number from 1 on. */
  readonly endpointPrefix: string;
  readonly version: string;
  readonly manufacturer: string;
  readonly model: string;
  /** Share of datagrams lost, 0 … 1. */
  readonly loss: number;
  /** Share of updates that go wrong, 0 … 1. */
  readonly failShare: number;
  /** Default: all of them are steady. */
  readonly tempers?: TemperShares;
  readonly random: () => number;
}

/** Where the fleet stands. */
export interface FleetSummary {
  readonly count: number;
  readonly registered: number;
  readonly states: Readonly<Record<FirmwareState, number>>;
  /** Devices whose last result is this, initial left out. */
  readonly results: Readonly<Partial<Record<UpdateResult, number>>>;
  /** Devices by the version that they run. */
  readonly versions: Readonly<Record<string, number>>;
}

/** Registrations begun in a second while the fleet starts. */
const STARTS_PER_SECOND = 200;
const RESTART_MS = { least: 200, most: 1_500 } as const;
/** A slow device restarts so many times as long. */
const SLOW_RESTART = 5;
/** Octets after which the power is lost: the download has begun. */
const POWER_LOSS_BYTES = 4_096;

export class Fleet {
  readonly #devices: readonly SimulatedDevice[];
  #isStopped = false;

  constructor(options: FleetOptions) {
    this.#devices = Array.from({ length: options.count }, (_, index) => new SimulatedDevice(options, index + 1));
  }

  /** Starts all devices, not quite at once. */
  async start(): Promise<void> {
    const batch = Math.ceil(STARTS_PER_SECOND / 10);
    for (let i = 0; i < this.#devices.length && !this.#isStopped; i += batch) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      await Promise.all(this.#devices.slice(i, i + batch).map((device) => device.start()));
    }
  }

  /** Says goodbye for all of them. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#devices.map((device) => device.stop()));
  }

  get summary(): FleetSummary {
    const states = { idle: 0, downloading: 0, downloaded: 0, updating: 0 };
    const results: Partial<Record<UpdateResult, number>> = {};
    const versions: Record<string, number> = {};
    let registered = 0;
    for (const { state, result, version, isRegistered } of this.#devices) {
      states[state] += 1;
      if (result !== "initial") results[result] = (results[result] ?? 0) + 1;
      versions[version] = (versions[version] ?? 0) + 1;
      if (isRegistered) registered += 1;
    }
    return { count: this.#devices.length, registered, states, results, versions };
  }
}

class SimulatedDevice {
  readonly #options: FleetOptions;
  readonly #endpoint: string;
  readonly #firmware: SimulatedFirmware;
  readonly #temper: Temper;
  /** Octets of this download that were written before the power is lost; undefined once it was. */
  #writtenBytes: number | undefined = 0;
  #agent: UpdateAgent | undefined;
  #restarting: NodeJS.Timeout | undefined;
  #isRestarting = false;
  #isStopped = false;

  constructor(options: FleetOptions, number: number) {
    this.#options = options;
    this.#endpoint = `${options.endpointPrefix}-${number}`;
    this.#temper = temperOf(options.tempers ?? {}, options.random);
    this.#firmware = new SimulatedFirmware({ ...options, temper: this.#temper });
  }

  get state(): FirmwareState {
    return this.#agent?.state ?? (this.#isRestarting ? "updating" : "idle");
  }

  get result(): UpdateResult {
    return this.#agent?.result ?? "initial";
  }

  get version(): string {
    return this.#firmware.version;
  }

  get isRegistered(): boolean {
    return this.#agent?.isRegistered ?? false;
  }

  async start(): Promise<void> {
    const { server, manufacturer, model, loss, random, lifetimeS, lwm2mVersion, methods } = this.#options;
    const { store, version } = this.#firmware;
    const credentials = this.#options.credentialsOf?.(this.#endpoint);
    const agent = createUpdateAgent({
      endpoint: this.#endpoint,
      server,
      ...(credentials && { credentials }),
      handlers: this.#handlers(),
      store,
      queueMode: this.#temper === "sleeping",
      identity: { manufacturer, model, serialNumber: this.#endpoint, firmwareVersion: version },
      ...(lifetimeS !== undefined && { lifetimeS }),
      ...(lwm2mVersion && { lwm2mVersion }),
      ...(methods && { methods }),
      ...(loss > 0 && { loss: () => random() < loss }),
      reboot: () => void this.#restart(),
    });
    this.#agent = agent;
    this.#isRestarting = false;
    await agent.start();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#restarting);
    await this.#agent?.close();
  }

  #handlers(): UnconditionalHandlers {
    const { handlers } = this.#firmware;
    if (this.#temper !== "losesPower") return handlers;
    return {
      ...handlers,
      write: (bytes) => {
        this.#countWritten(bytes.length);
        return handlers.write(bytes);
      },
      performUpgrade: () => {
        this.#writtenBytes = 0;
        return handlers.performUpgrade();
      },
    };
  }

  #countWritten(sizeBytes: number): void {
    if (this.#writtenBytes === undefined) return;
    this.#writtenBytes += sizeBytes;
    if (this.#writtenBytes < POWER_LOSS_BYTES) return;
    this.#writtenBytes = undefined;
    // The write itself has still to return.
    setImmediate(() => void this.#restart());
  }

  async #restart(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    this.#isRestarting = true;
    await agent?.close({ saysGoodbye: false });
    this.#firmware.restart();
    if (this.#isStopped || this.#temper === "silent") return;
    const { least, most } = RESTART_MS;
    const slowness = this.#temper === "slow" ? SLOW_RESTART : 1;
    const afterMs = slowness * (least + this.#options.random() * (most - least));
    this.#restarting = setTimeout(() => void this.start(), afterMs);
  }
}
