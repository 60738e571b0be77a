/** What devices are asked to tell: on record, asked for anew whenever a device comes, until it is withdrawn or floods. */
import type { NewObservation, Observation } from "@airlift/protocol/api/operations";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { AirliftError, EnvironmentError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { formatPath, type Path, parsePath } from "@airlift/protocol/lwm2m/path";
import type { Logger } from "pino";
import type { FloodGateOptions } from "../fleet/flood-gate.ts";
import type { Registration } from "../fleet/registration.ts";
import type { ObservationStore, RecordedObservation } from "../store/observation-store.ts";
import type { DeviceRequests } from "./device-requests.ts";
import { DEVICE_OBSERVATION_LIMIT, type KeptObservation, ObservationTable } from "./observation-table.ts";
import type { Attempts, OperationExchange } from "./operation-exchange.ts";
import type { OperationRequests, Plan } from "./operation-requests.ts";
import type { ToldValues } from "./told-values.ts";

export interface DeviceObservationsParts {
  readonly requests: DeviceRequests;
  readonly exchange: OperationExchange;
  readonly plans: OperationRequests;
  readonly told: ToldValues;
  readonly store: ObservationStore;
  readonly log: Logger;
  readonly flood?: FloodGateOptions | undefined;
  registrationOf(endpoint: string): Registration | undefined;
}

/** What is to be observed, several paths as one, and how long the first answer may take. */
export interface ObservationWish {
  readonly paths: readonly Path[];
  /** Content format instead of the one that suits, now and whenever it is made anew. */
  readonly format?: number | undefined;
  readonly timeoutMs: number;
}

/** How long an observation that is made anew may take; the device is awake, it has just registered. */
const RENEWAL_TIMEOUT_MS = 60_000;

export class DeviceObservations {
  readonly #parts: DeviceObservationsParts;
  readonly table: ObservationTable;
  /** Of devices that are being asked anew, the ids that they were asked for since they came. */
  readonly #renewing = new Map<string, Set<string>>();
  /** Counts what this server changes on the record. */
  #recordVersion = 0;

  constructor(parts: DeviceObservationsParts) {
    this.#parts = parts;
    this.table = new ObservationTable({
      requests: parts.requests,
      flood: parts.flood,
      onNotification: (kept, response) => this.#notified(kept, response),
      onFlood: (kept, droppedCount) => this.#flooded(kept, droppedCount),
    });
  }

  /** Rejects as the methods of `DeviceOperations`, and with {UsageError} OBSERVATIONS_FULL. */
  async observe(device: Registration, { paths, format, timeoutMs }: ObservationWish): Promise<NewObservation> {
    const { exchange, plans, told, store } = this.#parts;
    const { endpoint } = device;
    const plan = plans.readAll(device, paths, format);
    const kept = this.table.add(endpoint, paths, format);
    const { id } = kept;
    try {
      const response = await exchange.ask(device, this.#observing(kept, plan, timeoutMs));
      const answer = told.answer(endpoint, response, paths);
      const recorded = { id, endpoint, paths: paths.map(formatPath), format: format ?? null };
      await store.add(recorded, DEVICE_OBSERVATION_LIMIT);
      this.table.recorded(id);
      this.#recordVersion += 1;
      const observation = this.table.get(endpoint, id);
      if (observation !== undefined) return { observation, answer };
    } catch (error) {
      this.table.remove(endpoint, id);
      throw error;
    }
    // The device flooded, or left, before it was on record.
    await this.#withdraw(endpoint, id);
    throw new UsageError("UNKNOWN_OBSERVATION", "it was ended meanwhile", { id });
  }

  /** @throws {UsageError} UNKNOWN_OBSERVATION. @throws {EnvironmentError} DATABASE_AWAY: it is kept. */
  async cancel(endpoint: string, id: string): Promise<void> {
    if (!(await this.#withdraw(endpoint, id)))
      throw new UsageError("UNKNOWN_OBSERVATION", `there is no observation ${id} of this device`, { id });
  }

  /** Those on record; of a device that is not here all of them wait. */
  async of(endpoint: string): Promise<Observation[]> {
    return (await this.#parts.store.of([endpoint])).map(
      (recorded) => this.table.get(endpoint, recorded.id) ?? elsewhere(recorded),
    );
  }

  /**
   * Takes up what is on record of devices that have come here, and asks for it.
   *
   * @throws {EnvironmentError} DATABASE_AWAY
   */
  async onArrived(endpoints: readonly string[]): Promise<void> {
    const { registrationOf, log } = this.#parts;
    const byEndpoint = new Map<string, KeptObservation[]>(endpoints.map((endpoint) => [endpoint, []]));
    for (const { id, endpoint, paths, format } of await this.#onRecord(endpoints))
      byEndpoint.get(endpoint)?.push({ id, endpoint, paths: paths.map(parsePath), format: format ?? undefined });
    let leftCount = 0;
    for (const [endpoint, onRecord] of byEndpoint) {
      if (registrationOf(endpoint) === undefined) continue;
      leftCount += this.table.reconcile(endpoint, onRecord);
      this.onHeard(endpoint);
    }
    if (leftCount > 0) log.warn({ leftCount }, "there is no room for all observations that are on record");
  }

  /** The device listens: what it has not been asked for since it came is asked for now. */
  onHeard(endpoint: string): void {
    if (this.#renewing.has(endpoint) || this.table.waiting(endpoint).length === 0) return;
    this.#renewAll(endpoint).catch((error: unknown) => {
      this.#parts.log.error({ endpoint, err: error }, "an observation could not be made anew");
    });
  }

  /** The device registered, or is at another address: what was observed is asked for anew. */
  onRegistered(endpoint: string): void {
    this.table.suspend(endpoint);
    this.#renewing.get(endpoint)?.clear();
    this.onHeard(endpoint);
  }

  /** The device is not here any more. */
  onUnregistered(endpoint: string): void {
    this.table.forget(endpoint);
  }

  close(): void {
    this.table.close();
  }

  /** One after the other: all at once would take every turn that others have with the device, and more than there are. */
  async #renewAll(endpoint: string): Promise<void> {
    const asked = new Set<string>();
    this.#renewing.set(endpoint, asked);
    try {
      for (;;) {
        const device = this.#parts.registrationOf(endpoint);
        const kept = this.table.waiting(endpoint).find(({ id }) => !asked.has(id));
        if (device === undefined || kept === undefined) return;
        asked.add(kept.id);
        const isHeard = await this.#renew(device, kept);
        // One that does not listen now is asked for the others when it is heard again.
        if (!isHeard && asked.has(kept.id)) return;
      }
    } finally {
      this.#renewing.delete(endpoint);
    }
  }

  /** Whether the device has said anything to it. */
  async #renew(device: Registration, kept: KeptObservation): Promise<boolean> {
    const { exchange, plans, log } = this.#parts;
    try {
      const plan = plans.readAll(device, kept.paths, kept.format);
      this.#notified(kept, await exchange.ask(device, this.#observing(kept, plan, RENEWAL_TIMEOUT_MS)));
      return true;
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      log.debug({ endpoint: device.endpoint, code: error.code }, "not observed anew");
      return !(error instanceof EnvironmentError);
    }
  }

  #observing(kept: KeptObservation, plan: Plan, timeoutMs: number): Attempts {
    return {
      ...plan,
      timeoutMs,
      send: (device, request, signal) => this.table.start(kept.id, device, request, signal),
    };
  }

  #notified({ endpoint, id, paths }: KeptObservation, response: CoapResponse): void {
    const { told, log } = this.#parts;
    try {
      told.notified({ endpoint, observationId: id, paths }, response);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      log.debug({ endpoint, facts: error.facts }, "a notification cannot be read");
    }
  }

  #flooded(kept: KeptObservation, droppedCount: number): void {
    const { told, log } = this.#parts;
    const { endpoint, id } = kept;
    const withdrawn = this.#withdraw(endpoint, id).catch((error) => {
      log.warn({ endpoint, err: error }, "an observation that was ended is still on record");
    });
    void withdrawn.then(() => told.flooded(kept, droppedCount));
  }

  /** From the record and from the table; whether it was there. Until it is off the record, an arrival of the device takes it up again. */
  async #withdraw(endpoint: string, id: string): Promise<boolean> {
    const wasOnRecord = await this.#parts.store.remove(endpoint, id);
    this.#recordVersion += 1;
    return this.table.remove(endpoint, id) || wasOnRecord;
  }

  /** As it is now: nothing was added or withdrawn here while it was read. */
  async #onRecord(endpoints: readonly string[]): Promise<readonly RecordedObservation[]> {
    for (;;) {
      const version = this.#recordVersion;
      const onRecord = await this.#parts.store.of(endpoints);
      if (version === this.#recordVersion) return onRecord;
    }
  }
}

const elsewhere = ({ id, endpoint, paths }: RecordedObservation): Observation => ({
  id,
  endpoint,
  paths: [...paths],
  state: "waiting",
  notificationCount: 0,
  droppedCount: 0,
  lastToldAt: null,
});
