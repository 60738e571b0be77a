/** Talking to one registered device: reads, writes and executes of its objects (LwM2M 1.2 §6.3). */
import type { BlockSource } from "@airlift/protocol/coap/body";
import { CODE, formatCode } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import { AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import { DEVICE_RESOURCES } from "@airlift/protocol/lwm2m/objects/device";
import { FIRMWARE_UPDATE_ID, FIRMWARE_UPDATE_RESOURCES } from "@airlift/protocol/lwm2m/objects/firmware-update";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { executeRequest, readRequest, writeRequest } from "@airlift/protocol/lwm2m/operations";
import { type Path, pathOf } from "@airlift/protocol/lwm2m/path";
import { decodePayload } from "@airlift/protocol/lwm2m/payload";
import { registeredObject } from "@airlift/protocol/lwm2m/registered-objects";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { TransferProgress } from "@airlift/runtime/coap";
import type { RequestOutcome } from "../delivery/driver-messages.ts";
import type { DeviceReport } from "../delivery/report.ts";
import type { Registration } from "../fleet/registration.ts";
import type { DeviceRequests } from "./device-requests.ts";

const FIRMWARE: Path = pathOf(FIRMWARE_UPDATE_ID, 0);
const DEVICE: Path = pathOf(3, 0);
const PACKAGE: Path = pathOf(FIRMWARE_UPDATE_ID, 0, FIRMWARE_UPDATE_RESOURCES.package);
const PACKAGE_URI: Path = pathOf(FIRMWARE_UPDATE_ID, 0, FIRMWARE_UPDATE_RESOURCES.packageUri);
const UPDATE: Path = pathOf(FIRMWARE_UPDATE_ID, 0, FIRMWARE_UPDATE_RESOURCES.update);

export interface PushOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TransferProgress) => void;
}

export class DeviceLink {
  readonly #requests: DeviceRequests;

  constructor(requests: DeviceRequests) {
    this.#requests = requests;
  }

  /**
   * What the device runs and how its Firmware Update object stands.
   *
   * @throws {EnvironmentError} when it does not answer. @throws {PeerError} when its answer cannot be read.
   */
  async readReport(registration: Registration): Promise<DeviceReport> {
    const device = await this.#readAll(registration, DEVICE, DEVICE_REPORT);
    const text = (id: number): string | null => {
      const value = device.get(id)?.[0];
      return typeof value === "string" ? value : null;
    };
    return {
      firmware: await this.#readFirmware(registration),
      version: text(DEVICE_RESOURCES.firmwareVersion),
      manufacturer: text(DEVICE_RESOURCES.manufacturer),
      model: text(DEVICE_RESOURCES.modelNumber),
      hardware: text(DEVICE_RESOURCES.hardwareVersion),
    };
  }

  /** Writes the Package URI; an empty one resets the device's update. */
  writePackageUri(registration: Registration, uri: string): Promise<RequestOutcome> {
    const content = { contentFormat: CONTENT_FORMATS.text, payload: new TextEncoder().encode(uri) };
    return this.#command(registration, writeRequest(PACKAGE_URI, "replace", content));
  }

  /** Writes a package of one zero octet: the other way to reset the device's update. */
  writeZeroPackage(registration: Registration): Promise<RequestOutcome> {
    const content = { contentFormat: CONTENT_FORMATS.opaque, payload: Uint8Array.of(0) };
    return this.#command(registration, writeRequest(PACKAGE, "replace", content));
  }

  executeUpdate(registration: Registration): Promise<RequestOutcome> {
    return this.#command(registration, executeRequest(UPDATE));
  }

  /** Writes the package itself, block by block. Resolves when the device has answered the last one. */
  pushPackage(registration: Registration, source: BlockSource, options: PushOptions): Promise<RequestOutcome> {
    const content = { contentFormat: CONTENT_FORMATS.opaque, payload: new Uint8Array(0) };
    return outcomeOf(this.#requests.upload(registration, writeRequest(PACKAGE, "replace", content), source, options));
  }

  /**
   * Asks to be told when a resource of /5/0 changes. Best effort: a device that cannot observe is read instead.
   *
   * @returns A function that ends it, or `undefined` when the device does not notify.
   */
  async observeFirmware(registration: Registration, resource: number, onChange: () => void) {
    const path = pathOf(FIRMWARE_UPDATE_ID, 0, resource);
    try {
      const observation = await this.#requests.observe(registration, readRequest(path), onChange);
      return observation.isActive ? () => observation.cancel().catch(() => {}) : undefined;
    } catch (error) {
      if (error instanceof AirliftError) return undefined;
      throw error;
    }
  }

  async #readFirmware(registration: Registration): Promise<DeviceReport["firmware"]> {
    if (registeredObject(registration.objects, FIRMWARE_UPDATE_ID) === undefined) return null;
    const firmware = await this.#readAll(registration, FIRMWARE, FIRMWARE_REPORT);
    const first = (id: number) => firmware.get(id)?.[0];
    const whole = (id: number): number | null => {
      const value = first(id);
      return isWhole(value) ? value : null;
    };
    const text = (id: number): string | null => {
      const value = first(id);
      return typeof value === "string" ? value : null;
    };
    const state = whole(FIRMWARE_UPDATE_RESOURCES.state);
    const result = whole(FIRMWARE_UPDATE_RESOURCES.updateResult);
    // A State that object 5 does not have says nothing that an update could go by, and none of our readers expects it.
    if (state === null || result === null || state < 0 || state > 3 || result < 0 || result > 255) {
      throw new PeerError("NO_STATE", "the device does not tell its State and Update Result", { state, result });
    }
    const protocols = firmware.get(FIRMWARE_UPDATE_RESOURCES.protocolSupport);
    return {
      state,
      result,
      packageUri: text(FIRMWARE_UPDATE_RESOURCES.packageUri),
      packageName: text(FIRMWARE_UPDATE_RESOURCES.packageName),
      packageVersion: text(FIRMWARE_UPDATE_RESOURCES.packageVersion),
      protocols: protocols?.filter(isWhole) ?? null,
      deliveryMethod: whole(FIRMWARE_UPDATE_RESOURCES.deliveryMethod),
    };
  }

  /** The values of an instance by resource: all in one read, or one by one where the device refuses that. */
  async #readAll(registration: Registration, path: Path, wanted: readonly number[]): Promise<ReadValues> {
    const whole = await this.#read(registration, path);
    if (whole !== undefined) return whole;
    const values: ReadValues = new Map();
    for (const id of wanted) {
      const one = await this.#read(registration, [...path, id]);
      for (const [resource, found] of one ?? []) values.set(resource, found);
    }
    return values;
  }

  /** `undefined` when the device refuses this read; other requests may still do. */
  async #read(registration: Registration, path: Path): Promise<ReadValues | undefined> {
    const response = await this.#request(registration, readRequest(path));
    if (response.code === CODE.serviceUnavailable) {
      throw new EnvironmentError("DEVICE_BUSY", "the device is busy and answered 5.03");
    }
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

type ReadValues = Map<number, Entry["value"][]>;

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);

const DEVICE_REPORT: readonly number[] = [
  DEVICE_RESOURCES.firmwareVersion,
  DEVICE_RESOURCES.manufacturer,
  DEVICE_RESOURCES.modelNumber,
  DEVICE_RESOURCES.hardwareVersion,
];

const FIRMWARE_REPORT: readonly number[] = [
  FIRMWARE_UPDATE_RESOURCES.state,
  FIRMWARE_UPDATE_RESOURCES.updateResult,
  FIRMWARE_UPDATE_RESOURCES.deliveryMethod,
  FIRMWARE_UPDATE_RESOURCES.protocolSupport,
  FIRMWARE_UPDATE_RESOURCES.packageName,
  FIRMWARE_UPDATE_RESOURCES.packageVersion,
];

function valuesByResource(entries: readonly Entry[]): ReadValues {
  const values: ReadValues = new Map();
  for (const { path, value } of entries) {
    const [, , resource] = path;
    if (resource === undefined) continue;
    const found = values.get(resource) ?? [];
    found.push(value);
    values.set(resource, found);
  }
  return values;
}

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
