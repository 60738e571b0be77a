/**
 * One broadcast to very many receivers, exact and fast: the same rows, the same plan and the same polls as the cores, with the
 * ranks computed by columns and no octets moved.
 */
import type { Random } from "@airlift/protocol/lib/core";
import { largestOf } from "@airlift/protocol/lib/extremes";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { CONTROL_REPEATS } from "@airlift/protocol/zmesh/broadcast-runs";
import { COMMAND_BYTES } from "@airlift/protocol/zmesh/command";
import { COMMAND_TAG_BYTES } from "@airlift/protocol/zmesh/command-channel";
import { BEGIN_BYTES, END_BYTES } from "@airlift/protocol/zmesh/messages";
import {
  isLate,
  isPullCheaper,
  type LossAssumption,
  lossAfter,
  OPEN_LOOP_SHARE,
  openLoopRepairs,
  repairsForDeficit,
} from "@airlift/protocol/zmesh/repair-plan";
import type { RepairRows } from "@airlift/protocol/zmesh/repair-rows";
import { QUIET_POLLS } from "@airlift/protocol/zmesh/transmitter";
import { seeded } from "../world.ts";
import { type Channel, clumpingOf, type LossModel, openChannel, plannedLoss } from "./loss-model.ts";
import { RowColumns } from "./row-columns.ts";

export interface BroadcastCase {
  readonly dataCount: number;
  readonly deviceCount: number;
  readonly losses: LossModel;
  readonly rows: RepairRows;
  readonly seed: number;
}

export interface BroadcastFigures {
  /** Data and Repair until the last device was complete, pulled ones included. */
  readonly packetCount: number;
  /** What an ideal code would have needed on the same losses. */
  readonly idealCount: number;
  readonly repairCount: number;
  readonly pulledCount: number;
  /** Polls until the last device was complete; those that find nobody come after. */
  readonly pollCount: number;
  readonly answerCount: number;
  /** All frames, Begin, End and all polls included, at 50 kb/s and 48 bytes of payload. */
  readonly airtimeMs: number;
  /** The same until the last device was complete: without the polls that found nobody. */
  readonly completeMs: number;
  readonly controlCount: number;
  /** For each device, parity received beyond what was missing; ascending. */
  readonly overheads: readonly number[];
  /** The device that missed most: its missing chunks, and the parity it got until it was complete. */
  readonly worst: { readonly missing: readonly number[]; readonly parity: readonly number[] };
}

interface Device {
  readonly channel: Channel;
  readonly missing: readonly number[];
  /** One bit a row. */
  received: Uint32Array;
  deficit: number;
}

const NOTHING_YET: BroadcastFigures["worst"] = { missing: [], parity: [] };

export function simulateBroadcast(run: BroadcastCase): BroadcastFigures {
  return new Broadcast(run).figures();
}

class Broadcast {
  readonly #run: BroadcastCase;
  readonly #assumption: LossAssumption;
  #columns: RowColumns;
  #sentRows = 0;
  readonly #overheads: number[] = [];
  #worst = NOTHING_YET;
  #idealRepairCount = 0;
  #pulledCount = 0;
  #answerCount = 0;

  constructor(run: BroadcastCase) {
    this.#run = run;
    const loss = plannedLoss(run.losses);
    this.#assumption = { dataCount: run.dataCount, loss, clumping: clumpingOf(run.losses) };
    this.#columns = new RowColumns(run.rows, run.dataCount, Math.ceil(openLoopRepairs(this.#assumption) * 1.25) + 96);
  }

  figures(): BroadcastFigures {
    const random = seeded(this.#run.seed);
    let devices: readonly Device[] = this.#openLoop(random);
    let pollCount = 0;
    while (devices.length > 0) {
      pollCount += 1;
      devices = this.#afterPoll(devices, random);
    }
    const { dataCount } = this.#run;
    const packetCount = dataCount + this.#sentRows + this.#pulledCount;
    // Two polls find nobody.
    const pollFrames = pollCount + QUIET_POLLS;
    const pollMs = airtimeMs(COMMAND_BYTES.poll + COMMAND_TAG_BYTES);
    const messagesMs = packetCount * airtimeMs(48) + CONTROL_REPEATS * (airtimeMs(BEGIN_BYTES) + airtimeMs(END_BYTES));
    return {
      packetCount,
      airtimeMs: messagesMs + pollFrames * pollMs,
      completeMs: messagesMs + pollCount * pollMs,
      idealCount: dataCount + this.#idealRepairCount,
      repairCount: this.#sentRows,
      pulledCount: this.#pulledCount,
      pollCount,
      answerCount: this.#answerCount,
      controlCount: 2 * CONTROL_REPEATS + pollFrames,
      overheads: this.#overheads.sort((a, b) => a - b),
      worst: this.#worst,
    };
  }

  /** The systematic pass and the open-loop parity, device by device; the incomplete ones. */
  #openLoop(random: Random): Device[] {
    const { deviceCount, dataCount, losses } = this.#run;
    this.#sentRows = openLoopRepairs(this.#assumption);
    const incomplete: Device[] = [];
    for (let i = 0; i < deviceCount; i += 1) {
      const channel = openChannel(losses, seeded(Math.floor(random() * 2 ** 32)));
      const missing: number[] = [];
      for (let chunk = 1; chunk <= dataCount; chunk += 1) if (channel()) missing.push(chunk);
      const device = { channel, missing, received: new Uint32Array(this.#columns.wordCount), deficit: 0 };
      this.#hear(device, 1, this.#sentRows);
      if (!this.#settle(device)) incomplete.push(device);
    }
    return incomplete;
  }

  /** One poll, its answers, and what follows from them; the devices that are incomplete after it. */
  #afterPoll(devices: readonly Device[], random: Random): readonly Device[] {
    const deficits = this.#answers(devices, random);
    if (deficits.length === 0) return devices;
    const largest = largestOf(deficits);
    const { loss } = this.#assumption;
    const sentCount = this.#run.dataCount + this.#sentRows;
    const seen = lossAfter(this.#assumption, { sentCount, deficit: largest });
    if (isPullCheaper(deficits, seen)) return this.#pull(devices);
    if (isLate(largest, this.#assumption)) throw new Error("a device that came late needs the cores, not the figures");
    this.#sendRows(repairsForDeficit(largest, Math.max(loss, seen)));
    return devices.filter((device) => {
      this.#hear(device, this.#sentFrom, this.#sentRows);
      return !this.#settle(device);
    });
  }

  /** Deficits that reach the sender: the poll, the answer and a slot of one's own have to come off. */
  #answers(devices: readonly Device[], random: Random): number[] {
    const slotCount = Math.max(16, Math.ceil(2 * this.#run.deviceCount * (1 - OPEN_LOOP_SHARE)));
    const bySlot = new Map<number, number[]>();
    for (const device of devices) {
      if (device.channel()) continue;
      this.#answerCount += 1;
      const slot = Math.floor(random() * slotCount);
      const isLost = device.channel();
      bySlot.set(slot, [...(bySlot.get(slot) ?? []), isLost ? 0 : device.deficit]);
    }
    return [...bySlot.values()].flatMap((each) => (each.length === 1 && each[0] ? each : []));
  }

  /** Each asks for itself until it has enough: one packet sent for each that is needed, and one more for each that is lost. */
  #pull(devices: readonly Device[]): readonly Device[] {
    for (const device of devices) {
      for (let needed = device.deficit; needed > 0; ) {
        this.#pulledCount += 1;
        if (!device.channel()) needed -= 1;
      }
      this.#finish(device, device.missing.length);
    }
    return [];
  }

  #sentFrom = 1;

  #sendRows(count: number): void {
    this.#sentFrom = this.#sentRows + 1;
    this.#sentRows += count;
    if (this.#sentRows <= this.#columns.rowCount) return;
    this.#columns = new RowColumns(this.#run.rows, this.#run.dataCount, this.#sentRows + 96);
  }

  #hear(device: Device, first: number, last: number): void {
    if (device.received.length < this.#columns.wordCount) {
      const longer = new Uint32Array(this.#columns.wordCount);
      longer.set(device.received);
      device.received = longer;
    }
    for (let n = first; n <= last; n += 1) {
      if (device.channel()) continue;
      const word = (n - 1) >>> 5;
      device.received[word] = (device.received[word] as number) | (1 << ((n - 1) & 31));
    }
  }

  /** Whether the device is complete; notes what it took. */
  #settle(device: Device): boolean {
    const innovative = this.#columns.innovativeRows(device.missing, device.received);
    device.deficit = device.missing.length - innovative.length;
    if (device.deficit > 0) return false;
    this.#finish(device, innovative.at(-1) ?? 0);
    return true;
  }

  #finish(device: Device, lastRow: number): void {
    const parity: number[] = [];
    for (let n = 1; n <= this.#sentRows; n += 1)
      if (((device.received[(n - 1) >>> 5] as number) >>> ((n - 1) & 31)) & 1) parity.push(n);
    const used = parity.filter((n) => n <= lastRow);
    if (device.deficit === 0) this.#overheads.push(used.length - device.missing.length);
    const idealRow = parity[device.missing.length - 1] ?? this.#sentRows + device.deficit;
    if (device.missing.length > 0) this.#idealRepairCount = Math.max(this.#idealRepairCount, idealRow);
    if (device.missing.length > this.#worst.missing.length && device.deficit === 0)
      this.#worst = { missing: device.missing, parity: used };
  }
}
