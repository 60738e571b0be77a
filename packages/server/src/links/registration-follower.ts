/** What follows from a device's coming, going, falling asleep and speaking up: everyone concerned hears of it, in this order. */
import type { Logger } from "pino";
import type { PresenceChange } from "../fleet/presence.ts";
import type { Registration } from "../fleet/registration.ts";
import type { RegistryOutput } from "../fleet/registry.ts";
import type { Arrivals } from "./arrivals.ts";
import type { CampaignRunner } from "./campaign-runner.ts";
import type { DeliveryEngine } from "./delivery-engine.ts";
import { type FleetRecord, type RegistrationEnd, sentenceOfEnd, sentenceOfStart } from "./fleet-record.ts";
import type { DeviceOperations } from "./operations.ts";
import type { PresenceWatch } from "./presence-watch.ts";
import type { ReportReader } from "./report-reader.ts";
import type { RequestDrain } from "./request-drain.ts";

/** Who is told. */
export interface RegistrationFollowerParts {
  readonly record: FleetRecord;
  readonly presence: PresenceWatch;
  readonly queue: RequestDrain;
  readonly engine: DeliveryEngine;
  readonly operations: DeviceOperations;
  readonly reports: ReportReader;
  readonly campaigns: CampaignRunner;
  readonly arrivals: Arrivals;
  readonly log: Logger;
  /** The device's session, if it has one, is of no use any more. */
  readonly forget: (endpoint: string) => void;
}

export class RegistrationFollower {
  readonly #parts: RegistrationFollowerParts;

  constructor(parts: RegistrationFollowerParts) {
    this.#parts = parts;
    parts.presence.subscribe((change) => this.#onPresence(change));
  }

  follow(output: RegistryOutput): void {
    switch (output.kind) {
      case "registered":
        this.#onStart(output.registration);
        return;
      case "updated":
        this.#onUpdate(output.registration, output.moved);
        return;
      case "settled":
        this.#parts.record.save(output.registration, "registered");
        return;
      case "deregistered":
      case "withdrawn":
      case "barred":
      case "expired":
        this.#onEnd(output.registration, output.kind);
        return;
      case "left":
        this.#onLeft(output.registration.endpoint);
        return;
      case "full":
        this.#parts.log.warn({}, "the registry is full; a device was turned away");
        return;
      case "forbidden":
      case "unknown":
        return;
    }
  }

  /** It told by itself that something has changed. */
  news(registration: Registration): void {
    // As with a registration: the device reads our answer first.
    setImmediate(() => {
      const { engine, reports } = this.#parts;
      if (!engine.onNotified(registration.endpoint)) reports.read(registration);
    });
  }

  #onStart(registration: Registration): void {
    const { record, presence, engine, reports, operations, campaigns, arrivals } = this.#parts;
    const { endpoint } = registration;
    record.save(registration, "registered");
    campaigns.onRegistered(endpoint);
    arrivals.add(endpoint);
    record.remark("device.registered", registration, sentenceOfStart(registration));
    // The device reads our answer first: what we ask of it may not overtake the 2.01.
    setImmediate(() => {
      presence.registered(registration);
      // An update that is under way reads the device itself.
      if (engine.isDriving(endpoint)) engine.onRegistered(endpoint);
      else reports.read(registration);
      operations.observations.onRegistered(endpoint);
    });
  }

  #onUpdate(registration: Registration, moved: boolean): void {
    const { record, presence, queue, engine, reports, operations } = this.#parts;
    const { endpoint } = registration;
    record.save(registration, "registered");
    // At a new address it has to be observed anew, and what was sent to the old one is lost.
    setImmediate(() => {
      presence.registered(registration);
      reports.proved(registration);
      // It has just been heard, whatever became of the last request.
      queue.onReachable(endpoint, true);
      if (moved) {
        engine.onRegistered(endpoint);
        operations.observations.onRegistered(endpoint);
      } else {
        engine.onHeard(endpoint);
        operations.observations.onHeard(endpoint);
      }
    });
  }

  #onEnd(registration: Registration, how: RegistrationEnd): void {
    const { record, presence, engine, operations, forget } = this.#parts;
    const { endpoint } = registration;
    const ended = how === "expired" ? "expired" : "deregistered";
    forget(endpoint);
    record.save(registration, ended);
    record.remark(`device.${ended}`, registration, sentenceOfEnd(how));
    presence.feed({ kind: "left", endpoint });
    engine.onUnregistered(endpoint);
    operations.observations.onUnregistered(endpoint);
  }

  /** Another server has it, and says so on its timeline. */
  #onLeft(endpoint: string): void {
    const { presence, engine, operations, forget } = this.#parts;
    forget(endpoint);
    presence.feed({ kind: "left", endpoint });
    engine.onLeft(endpoint);
    operations.observations.onUnregistered(endpoint);
  }

  #onPresence({ endpoint, state }: PresenceChange): void {
    const { presence, queue, engine } = this.#parts;
    queue.onReachable(endpoint, presence.isReachable(endpoint));
    // Of a fleet that is restored, few devices have an update.
    if (!engine.isDriving(endpoint)) return;
    if (state === "asleep") engine.onAsleep(endpoint);
    // Of an overdue sleeper too little is known to keep from asking.
    if (state === "awake" || state === "unknown") engine.onAwake(endpoint);
  }
}
