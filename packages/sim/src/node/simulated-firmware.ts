/** The firmware of a simulated device: it remembers what an image says of itself and nothing else of it. */
import { createHash, type Hash } from "node:crypto";
import {
  HandlerError,
  type PersistedUpdate,
  type UnconditionalHandlers,
  type UpdateStore,
} from "@airlift/device/ports";
import { decodeMcubootHeader, HEADER_FIELDS_BYTES, isMcuboot } from "@airlift/protocol/image/mcuboot-header";
import { formatMcubootVersion } from "@airlift/protocol/image/version";
import { concat, EMPTY } from "@airlift/protocol/lib/bytes";
import type { Random } from "@airlift/protocol/lib/core";
import { SLOW_WRITE_MS, type Temper } from "./temper.ts";

export interface SimulatedFirmwareOptions {
  readonly version: string;
  /** Share of updates that go wrong: a third each in the verification, the installation and the first start. */
  readonly failShare: number;
  /** Default steady. */
  readonly temper?: Temper;
  readonly random: Random;
}

/** What goes wrong with one update. */
type Fault = "verification" | "installation" | "firstStart";

const FAULTS: readonly Fault[] = ["verification", "installation", "firstStart"];

export class SimulatedFirmware {
  readonly handlers: UnconditionalHandlers;
  readonly store: UpdateStore;
  readonly #options: SimulatedFirmwareOptions;
  #version: string;
  #persisted: PersistedUpdate = { state: "idle", result: "initial" };
  #head: Uint8Array = EMPTY;
  #sizeBytes = 0;
  #hash: Hash = createHash("sha256");
  #fault: Fault | undefined;
  #installing: string | undefined;
  #fallback: string | undefined;

  constructor(options: SimulatedFirmwareOptions) {
    this.#options = options;
    this.#version = options.version;
    this.handlers = {
      openStream: () => this.#open(),
      write: (bytes) => this.#write(bytes),
      finish: () => this.#finish(),
      reset: () => this.#open(),
      performUpgrade: () => this.#install(),
      packageVersion: () => this.#packageVersion(),
      confirm: () => {
        this.#fallback = undefined;
      },
    };
    this.store = {
      load: async () => this.#persisted,
      save: async (update) => {
        this.#persisted = update.state === "downloading" ? { ...update, offset: 0 } : update;
      },
    };
  }

  /** Of the firmware that runs. */
  get version(): string {
    return this.#version;
  }

  /** What a restart does: begins the trial of an installed image, or ends one that was not confirmed. */
  restart(): void {
    const { uri = "" } = this.#persisted;
    if (this.#installing !== undefined) {
      this.#fallback = this.#version;
      this.#version = this.#installing;
      this.#installing = undefined;
      if (this.#fault !== "firstStart") return;
    }
    if (this.#fallback === undefined) return;
    this.#version = this.#fallback;
    this.#fallback = undefined;
    this.#persisted = { state: "idle", result: "failed", uri };
  }

  #open(): void {
    this.#head = EMPTY;
    this.#sizeBytes = 0;
    this.#hash = createHash("sha256");
  }

  #write(bytes: Uint8Array): Promise<void> | void {
    if (this.#head.length < HEADER_FIELDS_BYTES) this.#head = concat([this.#head, bytes]).slice(0, HEADER_FIELDS_BYTES);
    this.#sizeBytes += bytes.length;
    this.#hash.update(bytes);
    if (this.#options.temper === "slow") return new Promise((resolve) => setTimeout(resolve, SLOW_WRITE_MS));
  }

  #finish(): void {
    const { random, failShare, temper } = this.#options;
    this.#fault = random() < failShare ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined;
    if (temper === "fallsBack") this.#fault = "firstStart";
    if (this.#sizeBytes === 0) throw new HandlerError("unsupportedPackage", "an empty image");
    if (this.#fault === "verification") throw new HandlerError("integrityFailed", "a fault of the simulation");
  }

  #install(): "restarting" {
    if (this.#fault === "installation") throw new Error("a fault of the simulation");
    this.#installing = this.#packageVersion();
    return "restarting";
  }

  #packageVersion(): string {
    if (this.#head.length >= HEADER_FIELDS_BYTES && isMcuboot(this.#head)) {
      return formatMcubootVersion(decodeMcubootHeader(this.#head).version);
    }
    return `sha256:${this.#hash.copy().digest("hex").slice(0, 12)}`;
  }
}
