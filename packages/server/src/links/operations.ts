/** Every operation of LwM2M on registered devices, as the API asks for them. */
import type {
  DeviceObject,
  DiscoverAnswer,
  DoneAnswer,
  LastValues,
  NewExecution,
  NewInstance,
  NewObservation,
  NewValues,
  NotificationAttributes,
  Observation,
  ReadAnswer,
} from "@airlift/protocol/api/operations";
import { formatCode } from "@airlift/protocol/coap/codes";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts } from "@airlift/protocol/coap/options";
import { AirliftError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import type { Models } from "@airlift/protocol/lwm2m/model";
import { defaultObjectVersion } from "@airlift/protocol/lwm2m/objects/standard";
import { deleteRequest, discoverRequest } from "@airlift/protocol/lwm2m/operations";
import { formatPath, isWithin, type Path, parsePath, ROOT } from "@airlift/protocol/lwm2m/path";
import { nameOfPath, resolvePath } from "@airlift/protocol/lwm2m/path-names";
import { LWM2M_VERSIONS } from "@airlift/protocol/lwm2m/registration";
import type { Logger } from "pino";
import type { FloodGateOptions } from "../fleet/flood-gate.ts";
import type { OperationWish, WishContent } from "../fleet/operation-wish.ts";
import type { QueuedRequest, RequestContent } from "../fleet/queued-request.ts";
import type { Registration } from "../fleet/registration.ts";
import type { ObservationStore, RecordedObservation } from "../store/observation-store.ts";
import type { EventStore } from "../store/ports.ts";
import type { DeviceRequests } from "./device-requests.ts";
import { DEVICE_OBSERVATION_LIMIT, type KeptObservation, ObservationTable } from "./observation-table.ts";
import {
  type Attempts,
  discoveredIn,
  entriesOfAnswer,
  formatOfAnswer,
  OperationExchange,
} from "./operation-exchange.ts";
import { assertLevel, OperationRequests, type Plan, plain, type ValueWrite } from "./operation-requests.ts";
import { toRequestContent } from "./queued-operations.ts";
import { ToldValues } from "./told-values.ts";
import { toDeviceValue } from "./value-report.ts";

export interface DeviceOperationsOptions {
  readonly requests: DeviceRequests;
  readonly models: Models;
  readonly events: EventStore;
  readonly store: ObservationStore;
  readonly log: Logger;
  readonly flood?: FloodGateOptions | undefined;
  registrationOf(endpoint: string): Registration | undefined;
}

/** Where an operation goes, and how long it may take. */
export interface OperationTarget {
  readonly endpoint: string;
  readonly timeoutMs: number;
}

/** How long an observation that is made anew may take; the device is awake, it has just registered. */
const RENEWAL_TIMEOUT_MS = 60_000;

/**
 * Methods that ask a device reject with {UsageError} DEVICE_GONE, DEVICE_BUSY and what is wrong with the question, {PeerError}
 * DEVICE_REFUSED, DEVICE_ANSWER, {EnvironmentError} DEVICE_SILENT. Paths may have names of the object models in them.
 */
export class DeviceOperations {
  readonly #options: DeviceOperationsOptions;
  readonly #exchange: OperationExchange;
  readonly #plans: OperationRequests;
  readonly #told: ToldValues;
  /** Counts what this server changes on the record. */
  #recordVersion = 0;
  readonly #since = new Date().toISOString();
  readonly observations: ObservationTable;

  constructor(options: DeviceOperationsOptions) {
    this.#options = options;
    this.#told = new ToldValues(options);
    this.#exchange = new OperationExchange(options.requests);
    this.#plans = new OperationRequests(options.models, this.#exchange.memory);
    this.observations = new ObservationTable({
      requests: options.requests,
      flood: options.flood,
      onNotification: (kept, response) => this.#notified(kept, response),
      onFlood: (kept, droppedCount) => this.#flooded(kept, droppedCount),
    });
  }

  /** Of one path, or of several at once (LwM2M 1.1 and later). */
  async read(target: OperationTarget, texts: readonly string[], format?: number): Promise<ReadAnswer> {
    const device = this.#device(target.endpoint);
    const paths = this.#paths(texts);
    const response = await this.#exchange.ask(device, { ...this.#planOfRead(device, paths, format), ...target });
    const answer = this.#toAnswer(response, baseOf(paths));
    this.#told.keep(target.endpoint, answer.values, "read");
    return answer;
  }

  /** What a Read told that had waited for its device: kept as that of any other, and in words for the timeline. */
  keepQueued({ endpoint, content: { operation, path } }: QueuedRequest, response: CoapResponse): string {
    if (operation !== "read" && operation !== "readComposite") return "";
    try {
      const { values } = this.#toAnswer(response, operation === "read" ? parsePath(path) : ROOT);
      this.#told.keep(endpoint, values, "read");
      const told = values.map(({ path: place, value }) => `${place} is ${value}`).join(", ");
      return told === "" ? "" : `: ${told.replace(/\p{Cc}/gu, " ")}`;
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      return `, but ${error.message}`;
    }
  }

  write(target: OperationTarget, text: string, write: ValueWrite): Promise<DoneAnswer> {
    return this.#do(target, (device) => this.#plans.write(device, this.#path(text), write));
  }

  writeComposite(target: OperationTarget, values: NewValues, format?: number): Promise<DoneAnswer> {
    return this.#do(target, (device) => this.#plans.writeComposite(device, values, format));
  }

  execute(target: OperationTarget, { path, arguments: given = {} }: NewExecution): Promise<DoneAnswer> {
    return this.#do(target, () => this.#plans.execute(this.#path(path), given));
  }

  async create(target: OperationTarget, { path, ...given }: NewInstance): Promise<DoneAnswer> {
    let instance: string | null = null;
    const done = await this.#do(target, (device) => {
      const plan = this.#plans.create(device, this.#path(path), given);
      // Without values nothing tells the device which number we thought of.
      instance = Object.keys(given.values ?? {}).length === 0 ? null : formatPath(plan.instance);
      return plan;
    });
    return { ...done, created: done.created ?? instance };
  }

  delete(target: OperationTarget, text: string): Promise<DoneAnswer> {
    return this.#do(target, () => {
      const path = this.#path(text);
      assertLevel(path, 2, 4);
      return plain(deleteRequest(path));
    });
  }

  writeAttributes(target: OperationTarget, text: string, given: NotificationAttributes): Promise<DoneAnswer> {
    return this.#do(target, (device) => this.#plans.writeAttributes(device, this.#path(text), given));
  }

  /**
   * An operation as it goes on record for a device that sleeps: in the format that suits best, as nobody is there to refuse it.
   *
   * @throws {UsageError} DEVICE_GONE and what is wrong with the question
   */
  contentOf(endpoint: string, { operation, ...wish }: OperationWish): RequestContent {
    const plan = this.#planOf(this.#device(endpoint), wish);
    return toRequestContent(operation, plan.requestIn(plan.formats[0]));
  }

  #planOf(device: Registration, wish: WishContent): Plan {
    if ("paths" in wish) return this.#planOfRead(device, this.#paths(wish.paths), wish.format);
    if ("values" in wish) return this.#plans.writeComposite(device, wish.values, wish.format);
    const path = this.#path(wish.path);
    if ("write" in wish) return this.#plans.write(device, path, wish.write);
    if ("execution" in wish) return this.#plans.execute(path, wish.execution.arguments ?? {});
    if ("instance" in wish) return this.#plans.create(device, path, wish.instance);
    if ("attributes" in wish) return this.#plans.writeAttributes(device, path, wish.attributes);
    assertLevel(path, 1, 4);
    return plain(wish.isDiscover ? discoverRequest(path) : deleteRequest(path));
  }

  async discover(target: OperationTarget, text: string): Promise<DiscoverAnswer> {
    const device = this.#device(target.endpoint);
    const path = this.#path(text);
    assertLevel(path, 1, 3);
    const response = await this.#exchange.ask(device, { ...plain(discoverRequest(path)), ...target });
    const { models } = this.#options;
    const items = discoveredIn(response, path, device).map(({ path: place, version, instanceCount, attributes }) => ({
      path: formatPath(place),
      name: nameOfPath(place, models) ?? null,
      version: version ?? null,
      instanceCount: instanceCount ?? null,
      attributes: { ...attributes },
    }));
    return { items };
  }

  /** Keeps an observation until it is withdrawn, over further registrations of the device and restarts of the server too. */
  async observe(target: OperationTarget, texts: readonly string[], format?: number): Promise<NewObservation> {
    const device = this.#device(target.endpoint);
    const paths = this.#paths(texts);
    const plan = this.#planOfRead(device, paths, format);
    const kept = this.observations.add(target.endpoint, paths);
    try {
      const response = await this.#exchange.ask(device, this.#observing(kept, plan, target.timeoutMs));
      const answer = this.#toAnswer(response, baseOf(paths));
      this.#told.keep(target.endpoint, answer.values, "read");
      const { id, endpoint } = kept;
      await this.#options.store.add({ id, endpoint, paths: paths.map(formatPath) }, DEVICE_OBSERVATION_LIMIT);
      this.observations.recorded(id);
      this.#recordVersion += 1;
      const observation = this.observations.get(target.endpoint, kept.id);
      if (observation === undefined) throw new UsageError("UNKNOWN_OBSERVATION", "it was ended meanwhile");
      return { observation, answer };
    } catch (error) {
      this.observations.remove(target.endpoint, kept.id);
      throw error;
    }
  }

  /** @throws {UsageError} UNKNOWN_OBSERVATION. @throws {EnvironmentError} DATABASE_AWAY: it is kept. */
  async cancel(endpoint: string, id: string): Promise<void> {
    const wasOnRecord = await this.#options.store.remove(endpoint, id);
    this.#recordVersion += 1;
    if (!this.observations.remove(endpoint, id) && !wasOnRecord)
      throw new UsageError("UNKNOWN_OBSERVATION", `there is no observation ${id} of this device`, { id });
  }

  /** Those on record; of a device that is not here all of them wait. */
  async observationsOf(endpoint: string): Promise<Observation[]> {
    const onRecord = await this.#options.store.of([endpoint]);
    return onRecord.map(
      ({ id, paths }) =>
        this.observations.get(endpoint, id) ?? {
          ...{
            id,
            endpoint,
            paths: [...paths],
            state: "waiting",
            notificationCount: 0,
            droppedCount: 0,
            lastToldAt: null,
          },
        },
    );
  }

  /** What the device told this server since it was started; what it told before is not known. */
  lastValues(endpoint: string): LastValues {
    return { since: this.#since, items: this.#told.of(endpoint) };
  }

  /** The objects that the device registered, with their versions. */
  objects(endpoint: string): DeviceObject[] {
    const { objects, lwm2mVersion } = this.#device(endpoint);
    return objects.objects.map(({ objectId: id, version, instances }) => ({
      id,
      name: this.#options.models.object(id)?.name ?? null,
      version: version ?? defaultObjectVersion(id, LWM2M_VERSIONS.find((known) => known === lwm2mVersion) ?? "1.0"),
      versionFrom: version === undefined ? "lwm2m" : "device",
      instances: [...instances],
    }));
  }

  /**
   * Values that the device sent of its own accord. Whether they were taken: a device that floods is told to wait.
   *
   * @throws {PeerError} NOT_FOUND for an object that it has not registered (LwM2M Core 1.2 §6.4.6).
   */
  onSent({ endpoint, objects }: Registration, entries: readonly Entry[]): boolean {
    const stranger = entries.find(({ path: [id] }) => !objects.objects.some(({ objectId }) => objectId === id));
    if (stranger !== undefined)
      throw new PeerError("NOT_FOUND", "an object that is not registered", { path: formatPath(stranger.path) });
    if (this.observations.gateOf(endpoint).notified(performance.now()) !== "take") {
      this.observations.droppedCount += 1;
      return false;
    }
    this.#told.publish({ endpoint, by: "send", observationId: null }, entries);
    return true;
  }

  /**
   * Takes up what is on record of devices that have come here, and asks for it.
   *
   * @throws {EnvironmentError} DATABASE_AWAY
   */
  async onArrived(endpoints: readonly string[]): Promise<void> {
    const { registrationOf, log } = this.#options;
    const byEndpoint = new Map<string, KeptObservation[]>(endpoints.map((endpoint) => [endpoint, []]));
    for (const { id, endpoint, paths } of await this.#onRecord(endpoints))
      byEndpoint.get(endpoint)?.push({ id, endpoint, paths: paths.map(parsePath) });
    let leftCount = 0;
    for (const [endpoint, onRecord] of byEndpoint) {
      const device = registrationOf(endpoint);
      if (device === undefined) continue;
      leftCount += this.observations.reconcile(endpoint, onRecord);
      this.onHeard(device);
    }
    if (leftCount > 0) log.warn({ leftCount }, "there is no room for all observations that are on record");
  }

  /** As it is now: nothing was added or withdrawn here while it was read. */
  async #onRecord(endpoints: readonly string[]): Promise<readonly RecordedObservation[]> {
    for (;;) {
      const version = this.#recordVersion;
      const onRecord = await this.#options.store.of(endpoints);
      if (version === this.#recordVersion) return onRecord;
    }
  }

  /** The device listens: what it has not been asked for since it came is asked for now. */
  onHeard(device: Registration): void {
    this.#renewAll(device, this.observations.waiting(device.endpoint));
  }

  /** The device registered, or is at another address: what was observed is asked for anew. */
  onRegistered(device: Registration): void {
    this.#renewAll(device, this.observations.suspend(device.endpoint));
  }

  /** The device is not here any more. */
  onUnregistered(endpoint: string): void {
    this.observations.forget(endpoint);
  }

  close(): void {
    this.observations.close();
  }

  #renewAll(device: Registration, all: readonly KeptObservation[]): void {
    for (const kept of all) {
      this.#renew(device, kept).catch((error: unknown) => {
        const { endpoint } = device;
        if (error instanceof AirliftError) this.#options.log.debug({ endpoint, code: error.code }, "not observed anew");
        else this.#options.log.error({ endpoint, err: error }, "an observation could not be made anew");
      });
    }
  }

  #flooded(kept: KeptObservation, droppedCount: number): void {
    const { store, log } = this.#options;
    const { endpoint, id } = kept;
    const removed = store.remove(endpoint, id).catch((error) => {
      log.warn({ endpoint, err: error }, "an observation that was ended is still on record");
    });
    void removed.then(() => {
      this.#recordVersion += 1;
      this.#told.flooded(kept, droppedCount);
    });
  }

  async #renew(device: Registration, kept: KeptObservation): Promise<void> {
    const plan = this.#planOfRead(device, kept.paths);
    const response = await this.#exchange.ask(device, this.#observing(kept, plan, RENEWAL_TIMEOUT_MS));
    this.#notified(kept, response);
  }

  #observing(kept: KeptObservation, plan: Plan, timeoutMs: number): Attempts {
    return {
      ...plan,
      timeoutMs,
      send: (device, request, signal) => this.observations.start(kept.id, device, request, signal),
    };
  }

  #notified(kept: KeptObservation, response: CoapResponse): void {
    const { endpoint, id } = kept;
    try {
      const entries = entriesOfAnswer(response, baseOf(kept.paths), this.#options.models);
      this.#told.publish({ endpoint, by: "notify", observationId: id }, entries);
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      this.#options.log.debug({ endpoint, facts: error.facts }, "a notification cannot be read");
    }
  }

  async #do(target: OperationTarget, plan: (device: Registration) => Plan): Promise<DoneAnswer> {
    const device = this.#device(target.endpoint);
    const { code, options } = await this.#exchange.ask(device, { ...plan(device), ...target });
    const location = optionTexts(options, OPTION.locationPath);
    const created = location.length === 0 ? null : `/${location.slice(device.objects.rootSegments.length).join("/")}`;
    return { code: formatCode(code), created };
  }

  #planOfRead(device: Registration, paths: readonly Path[], format?: number): Plan {
    const [path = ROOT] = paths;
    return paths.length === 1
      ? this.#plans.read(device, path, format)
      : this.#plans.readComposite(device, paths, format);
  }

  #toAnswer(response: CoapResponse, base: Path): ReadAnswer {
    const { models } = this.#options;
    const values = entriesOfAnswer(response, base, models).map((entry) => toDeviceValue(entry, models, Date.now()));
    return { code: formatCode(response.code), format: formatOfAnswer(response), values };
  }

  #device(endpoint: string): Registration {
    const device = this.#options.registrationOf(endpoint);
    if (device !== undefined) return device;
    throw new UsageError("DEVICE_GONE", `${endpoint} is not registered at present`, { endpoint });
  }

  #paths(texts: readonly string[]): Path[] {
    const paths = texts.map((text) => this.#path(text));
    const inner = paths.find((path, at) => paths.some((other, index) => index !== at && isWithin(other, path)));
    if (inner === undefined) return paths;
    throw new UsageError("PATHS", `${formatPath(inner)} is named twice`, { path: formatPath(inner) });
  }

  #path(text: string): Path {
    return resolvePath(text, this.#options.models);
  }
}

/** One path is asked for by itself, several from the root. */
const baseOf = (paths: readonly Path[]): Path => (paths.length === 1 ? (paths[0] ?? ROOT) : ROOT);
