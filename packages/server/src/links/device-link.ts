/** Talking to one registered device: reads, writes and executes of its objects (LwM2M 1.2 §6.3). */
import type { BlockSource } from "@airlift/protocol/coap/body";
import { CODE, formatCode } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import {
  CONNECTIVITY_MONITORING_ID,
  CONNECTIVITY_MONITORING_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/connectivity";
import { DEVICE_RESOURCES } from "@airlift/protocol/lwm2m/objects/device";
import { FIRMWARE_UPDATE_RESOURCES } from "@airlift/protocol/lwm2m/objects/firmware-update";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { readRequest, writeRequest } from "@airlift/protocol/lwm2m/operations";
import { type Path, pathOf } from "@airlift/protocol/lwm2m/path";
import { decodePayload } from "@airlift/protocol/lwm2m/payload";
import { registeredObject } from "@airlift/protocol/lwm2m/registered-objects";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { TransferProgress } from "@airlift/runtime/coap";
import type { RequestOutcome } from "../delivery/driver-messages.ts";
import type { DeviceReport } from "../delivery/report.ts";
import { type ApplyStep, FIRMWARE_OBJECT, type ResetForm, type UpdateObject } from "../delivery/update-object.ts";
import type { Registration } from "../fleet/registration.ts";
import type { DeviceRequests } from "./device-requests.ts";

const DEVICE: Path = pathOf(3, 0);

export interface PushOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TransferProgress) => void;
  /** As `UploadOptions.onSmallerBlocks`. */
  readonly onSmallerBlocks?: ((blockBytes: number) => void) | undefined;
  /** Octets that the device has already. Default 0. */
  readonly offset?: number | undefined;
  /** How the package is written. Default octets. */
  readonly contentFormat?: number | undefined;
}

export class DeviceLink {
  readonly #requests: DeviceRequests;
  readonly #object: UpdateObject;

  /** @param object What of the device is looked at and updated. */
  constructor(requests: DeviceRequests, object: UpdateObject = FIRMWARE_OBJECT) {
    this.#requests = requests;
    this.#object = object;
  }

  /**
   * What the device runs and how its update object stands.
   *
   * @throws {EnvironmentError} when it does not answer. @throws {PeerError} when its answer cannot be read.
   */
  async readReport(registration: Registration): Promise<DeviceReport> {
    // The object first: a device that has just installed sets its version and then the result, and with the old version
    // beside the new result it would look as if it had fallen back.
    const firmware = await this.#readFirmware(registration);
    const device = await this.#readAll(registration, DEVICE, DEVICE_REPORT);
    const text = (id: number): string | null => {
      const value = device.get(id)?.[0];
      return typeof value === "string" ? value : null;
    };
    return {
      firmware,
      version: text(DEVICE_RESOURCES.firmwareVersion),
      manufacturer: text(DEVICE_RESOURCES.manufacturer),
      model: text(DEVICE_RESOURCES.modelNumber),
      hardware: text(DEVICE_RESOURCES.hardwareVersion),
      battery: numberIn(device.get(DEVICE_RESOURCES.batteryLevel)?.[0], 0, 100),
      utcOffset: text(DEVICE_RESOURCES.utcOffset),
      timezone: text(DEVICE_RESOURCES.timezone),
    };
  }

  /**
   * Which radio cell the device is in and how well it hears it; undefined when it has no Connectivity Monitoring object.
   *
   * @throws {EnvironmentError} when it does not answer. @throws {PeerError} when its answer cannot be read.
   */
  async readRadio(registration: Registration): Promise<RadioReport | undefined> {
    if (registeredObject(registration.objects, CONNECTIVITY_MONITORING_ID) === undefined) return undefined;
    const { cellId, radioSignalStrength } = CONNECTIVITY_MONITORING_RESOURCES;
    const path = pathOf(CONNECTIVITY_MONITORING_ID, 0);
    const values = await this.#readAll(registration, path, [radioSignalStrength, cellId]);
    const cell = numberIn(values.get(cellId)?.[0], 0, MOST_CELL_ID);
    return {
      cell: cell === null ? null : `${cell}`,
      signal: numberIn(values.get(radioSignalStrength)?.[0], LEAST_SIGNAL_DBM, 0),
    };
  }

  writePackageUri(registration: Registration, uri: string): Promise<RequestOutcome> {
    const content = { contentFormat: CONTENT_FORMATS.text, payload: encodeUtf8(uri) };
    return this.#command(registration, writeRequest(this.#at(this.#object.resources.packageUri), "replace", content));
  }

  /** Makes the device forget what it was sent. */
  reset(registration: Registration, form: ResetForm): Promise<RequestOutcome> {
    return this.#command(registration, this.#object.reset(form));
  }

  /** Has the device install, or activate, what it holds; rejects with the signal's reason when that is given up. */
  apply(registration: Registration, step: ApplyStep, signal?: AbortSignal): Promise<RequestOutcome> {
    return outcomeOf(this.#requests.request(registration, this.#object.apply(step), { signal }));
  }

  /** Has the device wait for the word once it holds the image (object 5, resource 14). */
  holdBack(registration: Registration): Promise<RequestOutcome> {
    const content = { contentFormat: CONTENT_FORMATS.text, payload: encodeUtf8("0") };
    return this.#command(
      registration,
      writeRequest(this.#at(FIRMWARE_UPDATE_RESOURCES.automaticUpgrade), "replace", content),
    );
  }

  /** Writes the package itself, block by block. Resolves when the device has answered the last one. */
  pushPackage(registration: Registration, source: BlockSource, options: PushOptions): Promise<RequestOutcome> {
    const { contentFormat = CONTENT_FORMATS.opaque, ...transfer } = options;
    const content = { contentFormat, payload: EMPTY };
    const request = writeRequest(this.#at(this.#object.resources.package), "replace", content);
    return outcomeOf(this.#requests.upload(registration, request, source, transfer));
  }

  /**
   * Asks to be told when State or Update Result changes. Best effort: a device that cannot observe is read instead.
   *
   * @returns Functions that end it; none when the device does not notify.
   */
  async observe(registration: Registration, onChange: () => void): Promise<(() => void)[]> {
    const ends: (() => void)[] = [];
    for (const resource of this.#object.observed) {
      const end = await this.#observeOne(registration, this.#at(resource), onChange);
      if (end !== undefined) ends.push(end);
    }
    return ends;
  }

  async #observeOne(registration: Registration, path: Path, onChange: () => void): Promise<(() => void) | undefined> {
    try {
      const observation = await this.#requests.observe(registration, readRequest(path), onChange);
      return observation.isActive ? () => observation.cancel().catch(() => {}) : undefined;
    } catch (error) {
      if (error instanceof AirliftError) return undefined;
      throw error;
    }
  }

  async #readFirmware(registration: Registration): Promise<DeviceReport["firmware"]> {
    const { objectId, instance, wanted } = this.#object;
    const registered = registeredObject(registration.objects, objectId);
    if (registered === undefined) return null;
    // A device may register an object alone; then only a read tells which instances it has.
    if (registered.instances.length > 0 && !registered.instances.includes(instance)) return null;
    const standing = this.#object.read(await this.#readAll(registration, pathOf(objectId, instance), wanted));
    if (standing === undefined)
      throw new PeerError("NO_STATE", "the device does not tell its State and Update Result", { objectId, instance });
    return standing;
  }

  #at(resource: number): Path {
    return pathOf(this.#object.objectId, this.#object.instance, resource);
  }

  /** The values of an instance by resource: all in one read, or one by one where the device refuses that. */
  async #readAll(registration: Registration, path: Path, wanted: readonly number[]): Promise<FoundValues> {
    const whole = await this.#read(registration, path);
    if (whole !== undefined) return whole;
    const values: FoundValues = new Map();
    for (const id of wanted) {
      const one = await this.#read(registration, [...path, id]);
      for (const [resource, found] of one ?? []) values.set(resource, found);
    }
    return values;
  }

  /** `undefined` when the device refuses this read; other requests may still do. */
  async #read(registration: Registration, path: Path): Promise<FoundValues | undefined> {
    const response = await this.#request(registration, readRequest(path));
    if (response.code === CODE.serviceUnavailable) {
      throw new EnvironmentError("DEVICE_BUSY", "the device is busy and answered 5.03");
    }
    // Of the update's object this says that no order would be taken either.
    if (response.code === CODE.unauthorized && path[0] === this.#object.objectId)
      throw new EnvironmentError("NOT_ITS_SERVER", notItsServer(registration));
    if (response.code !== CODE.content) return undefined;
    const format = optionUint(response.options, OPTION.contentFormat) ?? CONTENT_FORMATS.text;
    return valuesByResource(decodePayload(format, response.payload, { base: path, models: STANDARD_MODELS }));
  }

  #command(registration: Registration, request: Lwm2mRequest): Promise<RequestOutcome> {
    return outcomeOf(this.#request(registration, request));
  }

  /** A device chooses its own blocks: with small ones even a report does not fit into one (RFC 7959 §2.4). */
  #request(registration: Registration, request: Lwm2mRequest): Promise<CoapResponse> {
    return this.#requests.request(registration, request);
  }
}

/** Where a device is on the air. */
export interface RadioReport {
  /** /4/0/8, decimal. */
  readonly cell: string | null;
  /** /4/0/2, dBm. */
  readonly signal: number | null;
}

/** The 36 bits of an NR Cell Identity. @see 3GPP TS 38.413 §9.3.1.7 */
const MOST_CELL_ID = 2 ** 36 - 1;
/** Weaker than any radio hears: what a modem says that knows nothing. */
const LEAST_SIGNAL_DBM = -200;

/** A whole number of a range; null when the device tells none, or another. */
function numberIn(value: Entry["value"] | undefined, least: number, most: number): number | null {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) return null;
  return number >= least && number <= most ? Math.round(number) : null;
}

type FoundValues = Map<number, Entry["value"][]>;

const DEVICE_REPORT: readonly number[] = [
  DEVICE_RESOURCES.firmwareVersion,
  DEVICE_RESOURCES.manufacturer,
  DEVICE_RESOURCES.modelNumber,
  DEVICE_RESOURCES.hardwareVersion,
  DEVICE_RESOURCES.batteryLevel,
  DEVICE_RESOURCES.utcOffset,
  DEVICE_RESOURCES.timezone,
];

function valuesByResource(entries: readonly Entry[]): FoundValues {
  const values: FoundValues = new Map();
  for (const { path, value } of entries) {
    const [, , resource] = path;
    if (resource === undefined) continue;
    const found = values.get(resource) ?? [];
    found.push(value);
    values.set(resource, found);
  }
  return values;
}

/** What an operator can expect of a device that answers 4.01. */
const notItsServer = ({ home }: Registration): string =>
  home === undefined
    ? "it answered 4.01, as to a server that it is not registered with"
    : `it answered 4.01: it knows the server ${home}, which is away, and goes on when that one is back or the device comes here`;

/** What became of a command: an answer of class 2, a refusal with its code, or nothing at all. */
async function outcomeOf(answer: Promise<CoapResponse>): Promise<RequestOutcome> {
  try {
    const { code } = await answer;
    return code >> 5 === 2 ? { outcome: "accepted" } : { outcome: "refused", code: formatCode(code) };
  } catch (error) {
    if (error instanceof CoapRefusal) return { outcome: "refused", code: formatCode(error.response.code) };
    if (error instanceof AirliftError) return { outcome: "noAnswer" };
    throw error;
  }
}
