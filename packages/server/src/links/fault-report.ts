/** Takes what devices do that they should not from wherever it is seen, and puts what is to be told on their timelines. */
import { countText } from "@airlift/protocol/lib/count-text";
import type { Logger } from "pino";
import type { Registration } from "../fleet/registration.ts";
import type { Sender } from "../fleet/sender.ts";
import { type DeviceFault, DeviceFaults } from "./device-faults.ts";
import type { Visitor } from "./door.ts";
import type { FleetRecord } from "./fleet-record.ts";
import type { Gatekeeper } from "./gatekeeper.ts";
import { Refusals } from "./refusals.ts";

export interface FaultReportOptions {
  readonly record: Pick<FleetRecord, "append">;
  readonly gatekeeper: Pick<Gatekeeper, "senderOf">;
  readonly log: Logger;
  readonly registrationOf: (sender: Sender) => Registration | undefined;
}

export class FaultReport {
  readonly #options: FaultReportOptions;
  readonly faults = new DeviceFaults();
  readonly refusals: Refusals;

  constructor(options: FaultReportOptions) {
    this.#options = options;
    this.refusals = new Refusals(options.log);
  }

  note(fault: DeviceFault): void {
    const event = this.faults.note(fault, performance.now());
    if (event !== undefined) this.#options.record.append(event);
  }

  /** Somebody wanted to speak for an endpoint and may not. */
  forbidden(endpoint: string, sender: Sender, why: string): void {
    const event = this.refusals.forbid(endpoint, sender, why);
    if (event !== undefined) this.#options.record.append(event);
  }

  /** As `DoorGate.onFlood`. */
  flood(visitor: Visitor, refusedCount: number): void {
    const { gatekeeper, registrationOf, log } = this.#options;
    const { address, transport } = visitor;
    const sender = gatekeeper.senderOf(visitor);
    const endpoint = sender instanceof Promise ? undefined : registrationOf(sender)?.endpoint;
    const sentence = `more came from ${address} over ${transport} than one device may send: ${countText(refusedCount, "message was", "messages were")} held back`;
    log.warn({ endpoint, address, transport, refusedCount }, "a peer floods");
    this.note({ kind: "flood", code: transport, address, endpoint, sentence, count: refusedCount });
  }

  close(): void {
    this.refusals.close();
  }
}
