/** A device in the simulated mesh: the real receiver on flash that loses power, with a clock that runs wrong. */
import type { Random } from "@airlift/protocol/lib/core";
import type { ExpectedContent } from "@airlift/protocol/zmesh/content-proof";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { Receiver } from "@airlift/protocol/zmesh/receiver";
import type { ReceiverInput, ReceiverOutput, ReceiverRecord } from "@airlift/protocol/zmesh/receiver-types";
import { PowerCut } from "../flash.ts";
import { FlashPower, SimWordFlash } from "../word-flash.ts";
import { type Channel, type LossModel, openChannel } from "./loss-model.ts";

/** How one device is. */
export interface ReceiverPlan {
  readonly losses: LossModel;
  /** How fast its clock runs, in millionths too fast. */
  readonly driftPpm?: number;
  /** It hears the network from then on, and is told of the update then. */
  readonly joinsAtMs?: number;
  /** Relays between it and the transmitter. */
  readonly hopCount?: number;
  /** Flash operations after which the power goes, each counted from the start before; and for how long. */
  readonly cuts?: readonly { readonly afterOperations: number; readonly offMs: number }[];
  /** The time of day it is told jumps at these moments. */
  readonly clockJumps?: readonly { readonly atMs: number; readonly byMs: number }[];
  readonly canRequest?: boolean;
  readonly usesRepair?: boolean;
  readonly maxMissing?: number;
}

export interface NodeSetup {
  readonly id: string;
  readonly plan: ReceiverPlan;
  readonly crypto: ZmeshCrypto;
  readonly random: Random;
  readonly imageBytes: number;
  readonly scratchBytes: number;
  readonly expected: ExpectedContent | undefined;
}

const PAGE_BYTES = 2048;
const pages = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

export class ReceiverNode {
  readonly id: string;
  readonly plan: ReceiverPlan;
  readonly channel: Channel;
  readonly slot: SimWordFlash;
  readonly scratch: SimWordFlash;
  heardCount = 0;
  cutCount = 0;
  /** When it asked to be installed; `undefined` = not yet. */
  completeAtMs: number | undefined;
  peakRamBytes = 0;
  readonly #setup: NodeSetup;
  readonly #power: FlashPower;
  #core: Receiver | undefined;
  #record: ReceiverRecord = { state: "idle", result: "initial" };
  #backAtMs: number | undefined;

  constructor(setup: NodeSetup) {
    this.#setup = setup;
    this.id = setup.id;
    this.plan = setup.plan;
    this.channel = openChannel(setup.plan.losses, setup.random);
    this.#power = new FlashPower(setup.random);
    this.slot = new SimWordFlash({ sizeBytes: pages(setup.imageBytes), pageBytes: PAGE_BYTES }, this.#power);
    this.scratch = new SimWordFlash({ sizeBytes: pages(setup.scratchBytes), pageBytes: PAGE_BYTES }, this.#power);
    this.#arm();
  }

  /** As stored, which is what an honest device would tell after a restart. */
  get record(): ReceiverRecord {
    return this.#record;
  }

  get core(): Receiver | undefined {
    return this.#core;
  }

  /** World time of its next deadline, or of its return from a power cut. */
  get wakeAtMs(): number | undefined {
    if (this.#backAtMs !== undefined) return this.#backAtMs;
    const localMs = this.#core?.wakeAtMs;
    return localMs === undefined ? undefined : localMs / this.#rate;
  }

  /** Starts it, or starts it again. */
  boot(nowMs: number, utcMs: number): ReceiverOutput[] {
    this.#backAtMs = undefined;
    this.#power.restart();
    this.#arm();
    const { crypto, random, expected } = this.#setup;
    const { canRequest, usesRepair, maxMissing } = this.plan;
    return this.#survive(nowMs, () => {
      this.#core = new Receiver(
        {
          crypto,
          random,
          slotFlash: this.slot,
          scratchFlash: this.scratch,
          allowsUnsigned: expected === undefined,
          expectedContent: () => expected,
          ...(canRequest !== undefined && { canRequest }),
          ...(usesRepair !== undefined && { usesRepair }),
          ...(maxMissing !== undefined && { maxMissing }),
        },
        this.#record,
        nowMs * this.#rate,
      );
      return this.#core.step({ kind: "clock", utcMs }, nowMs * this.#rate);
    });
  }

  feed(input: ReceiverInput, nowMs: number): ReceiverOutput[] {
    const core = this.#core;
    if (core === undefined) return [];
    if (input.kind === "content") this.heardCount += 1;
    return this.#survive(nowMs, () => core.step(input, nowMs * this.#rate));
  }

  #survive(nowMs: number, step: () => ReceiverOutput[]): ReceiverOutput[] {
    try {
      const outputs = step();
      this.peakRamBytes = Math.max(this.peakRamBytes, this.#core?.reception?.peakRamBytes ?? 0);
      for (const output of outputs) if (output.kind === "save") this.#record = output.record;
      return outputs;
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.#core = undefined;
      this.#backAtMs = nowMs + (this.plan.cuts?.[this.cutCount]?.offMs ?? 0) + 1;
      this.cutCount += 1;
      return [];
    }
  }

  #arm(): void {
    this.#power.cutAt = this.plan.cuts?.[this.cutCount]?.afterOperations ?? Number.POSITIVE_INFINITY;
  }

  get #rate(): number {
    return 1 + (this.plan.driftPpm ?? 0) / 1e6;
  }
}
