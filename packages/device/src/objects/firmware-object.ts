/** Firmware Update, object 5, as a view of the update's facts. */

import { CODE } from "@airlift/protocol/coap/codes";
import {
  DELIVERY_ON_WIRE,
  FIRMWARE_UPDATE_ID,
  FIRMWARE_UPDATE_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/firmware-update";
import type { Lwm2mVersion } from "@airlift/protocol/lwm2m/registration";
import type { ResourceValue } from "@airlift/protocol/lwm2m/value";
import { RESULT_ON_WIRE, STATE_ON_WIRE } from "@airlift/protocol/update/firmware-update";
import type { Persisted } from "../update/persisted.ts";
import type { DeviceObject, Resource } from "./resource.ts";

/** How packages may reach the device. */
export type DeliveryMethods = keyof typeof DELIVERY_ON_WIRE;

/** Each request ends with its response code. */
export interface FirmwareObjectPorts {
  facts(): Persisted;
  packageName(): string | undefined;
  packageVersion(): string | undefined;
  writePackage(bytes: Uint8Array): Promise<number>;
  writeUri(uri: string): Promise<number>;
  update(): Promise<number>;
  cancel(): Promise<number>;
  writeSeverity(severity: number): Promise<number>;
  readonly methods: DeliveryMethods;
  /** Values of resource 8. */
  readonly protocols: readonly number[];
}

const MAX_URI_LENGTH = 255;
const ID = FIRMWARE_UPDATE_RESOURCES;

/** Before LwM2M 1.1 the object is in its version 1.0, without Cancel and what came with it. */
export function createFirmwareObject(ports: FirmwareObjectPorts, lwm2mVersion: Lwm2mVersion): DeviceObject {
  const inDownloaded = (read: () => string | undefined) => (): string | undefined =>
    ports.facts().state === "downloaded" ? read() : undefined;
  const resources: [number, Resource][] = [
    [ID.package, { write: (value) => ports.writePackage(value as Uint8Array) }],
    [ID.packageUri, { read: () => ports.facts().uri, write: (value) => writeUri(ports, value) }],
    [ID.update, { execute: () => ports.update() }],
    [ID.state, { read: () => STATE_ON_WIRE[ports.facts().state] }],
    [ID.updateResult, { read: () => RESULT_ON_WIRE[ports.facts().result] }],
    [ID.packageName, { read: inDownloaded(() => ports.packageName()) }],
    [ID.packageVersion, { read: inDownloaded(() => ports.packageVersion()) }],
    [ID.protocolSupport, { read: () => (ports.protocols.length > 0 ? new Map(ports.protocols.entries()) : undefined) }],
    [ID.deliveryMethod, { read: () => DELIVERY_ON_WIRE[ports.methods] }],
  ];
  if (lwm2mVersion === "1.0") return { id: FIRMWARE_UPDATE_ID, resources: new Map(resources) };
  resources.push(
    [ID.cancel, { execute: () => ports.cancel() }],
    [ID.severity, { read: () => ports.facts().severity, write: (value) => ports.writeSeverity(Number(value)) }],
    [ID.lastStateChangeTime, { read: () => ports.facts().lastStateChangeAtS }],
  );
  return { id: FIRMWARE_UPDATE_ID, version: "1.1", resources: new Map(resources) };
}

function writeUri(ports: FirmwareObjectPorts, value: ResourceValue): Promise<number> | number {
  if (typeof value !== "string" || value.length > MAX_URI_LENGTH) return CODE.badRequest;
  return ports.writeUri(value);
}
