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
import { formatPath, isWithin, type Path, parsePath } from "@airlift/protocol/lwm2m/path";
import { nameOfPath, resolvePath } from "@airlift/protocol/lwm2m/path-names";
import { LWM2M_VERSIONS } from "@airlift/protocol/lwm2m/registration";
import type { Logger } from "pino";
import type { FloodGateOptions } from "../fleet/flood-gate.ts";
import type { OperationWish, WishContent } from "../fleet/operation-wish.ts";
import { pathsOf, type QueuedRequest, type RequestContent } from "../fleet/queued-request.ts";
import type { Registration } from "../fleet/registration.ts";
import type { ObservationStore } from "../store/observation-store.ts";
import type { DeviceStore, EventStore } from "../store/ports.ts";
import type { Remarks } from "../store/remarks.ts";
import { DeviceObservations } from "./device-observations.ts";
import type { DeviceRequests } from "./device-requests.ts";
import { discoveredIn, OperationExchange } from "./operation-exchange.ts";
import { assertLevel, OperationRequests, type Plan, plain, type ValueWrite } from "./operation-requests.ts";
import { toRequestContent } from "./queued-operations.ts";
import { ToldValues } from "./told-values.ts";

export interface DeviceOperationsOptions {
  readonly requests: DeviceRequests;
  readonly models: Models;
  readonly events: Pick<EventStore, "publish">;
  readonly remarks: Pick<Remarks, "put">;
  readonly store: ObservationStore;
  readonly devices: Pick<DeviceStore, "registrationOf">;
  readonly log: Logger;
  readonly flood?: FloodGateOptions | undefined;
  registrationOf(endpoint: string): Registration | undefined;
}

/** Where an operation goes, and how long it may take. */
export interface OperationTarget {
  readonly endpoint: string;
  readonly timeoutMs: number;
}

/**
 * Methods that ask a device reject with {UsageError} DEVICE_GONE, DEVICE_BUSY and what is wrong with the question, {PeerError}
 * DEVICE_REFUSED, DEVICE_ANSWER, {EnvironmentError} DEVICE_SILENT. Paths may have names of the object models in them.
 */
export class DeviceOperations {
  readonly #options: DeviceOperationsOptions;
  readonly #exchange: OperationExchange;
  readonly #plans: OperationRequests;
  readonly #told: ToldValues;
  readonly #since = new Date().toISOString();
  readonly observations: DeviceObservations;

  constructor(options: DeviceOperationsOptions) {
    this.#options = options;
    this.#told = new ToldValues(options);
    this.#exchange = new OperationExchange(options.requests);
    this.#plans = new OperationRequests(options.models, this.#exchange.memory);
    this.observations = new DeviceObservations({
      ...options,
      exchange: this.#exchange,
      plans: this.#plans,
      told: this.#told,
    });
  }

  /** Of one path, or of several at once (LwM2M 1.1 and later). */
  async read(target: OperationTarget, texts: readonly string[], format?: number): Promise<ReadAnswer> {
    const device = this.#device(target.endpoint);
    const paths = this.#paths(texts);
    const response = await this.#exchange.ask(device, { ...this.#plans.readAll(device, paths, format), ...target });
    return this.#told.answer(target.endpoint, response, paths);
  }

  /** What a Read told that had waited for its device: kept as that of any other, and in words for the timeline. */
  keepQueued({ endpoint, content }: QueuedRequest, response: CoapResponse): string {
    const { operation } = content;
    if (operation !== "read" && operation !== "readComposite") return "";
    try {
      const { values } = this.#told.answer(endpoint, response, pathsOf(content).map(parsePath));
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
   * It need not be registered here: the server that has it sends it.
   *
   * @throws {UsageError} DEVICE_GONE and what is wrong with the question. @throws {EnvironmentError} DATABASE_AWAY
   */
  async contentOf(endpoint: string, { operation, ...wish }: OperationWish): Promise<RequestContent> {
    const { registrationOf, devices } = this.#options;
    const device = registrationOf(endpoint) ?? (await devices.registrationOf(endpoint)) ?? this.#device(endpoint);
    const plan = this.#planOf(device, wish);
    return toRequestContent(operation, plan.requestIn(plan.formats[0]));
  }

  #planOf(device: Registration, wish: WishContent): Plan {
    if ("paths" in wish) return this.#plans.readAll(device, this.#paths(wish.paths), wish.format);
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
    const wish = { paths: this.#paths(texts), format, timeoutMs: target.timeoutMs };
    return await this.observations.observe(device, wish);
  }

  /** @throws {UsageError} UNKNOWN_OBSERVATION. @throws {EnvironmentError} DATABASE_AWAY: it is kept. */
  cancel(endpoint: string, id: string): Promise<void> {
    return this.observations.cancel(endpoint, id);
  }

  /** Those on record; of a device that is not here all of them wait. */
  observationsOf(endpoint: string): Promise<Observation[]> {
    return this.observations.of(endpoint);
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
    const { table } = this.observations;
    if (table.gateOf(endpoint).notified(performance.now()) !== "take") {
      table.droppedCount += 1;
      return false;
    }
    this.#told.sent(endpoint, entries);
    return true;
  }

  close(): void {
    this.observations.close();
  }

  async #do(target: OperationTarget, plan: (device: Registration) => Plan): Promise<DoneAnswer> {
    const device = this.#device(target.endpoint);
    const { code, options } = await this.#exchange.ask(device, { ...plan(device), ...target });
    const location = optionTexts(options, OPTION.locationPath);
    const created = location.length === 0 ? null : `/${location.slice(device.objects.rootSegments.length).join("/")}`;
    return { code: formatCode(code), created };
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
