/** Firmware Update, object 5, as a view of the update's facts. */

import { CODE } from "@airlift/protocol/coap/codes";
import {
  DELIVERY_ON_WIRE,
  FIRMWARE_UPDATE_ID,
  FIRMWARE_UPDATE_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/firmware-update";
import type { ResourceValue } from "@airlift/protocol/lwm2m/value";
import { RESULT_ON_WIRE, STATE_ON_WIRE } from "@airlift/protocol/update/firmware-update";
import type { UpdateSetting } from "../update/messages.ts";
import type { Persisted } from "../update/persisted.ts";
import type { DeviceObject, Resource } from "./resource.ts";

/** How packages may reach the device. */
export type DeliveryMethods = keyof typeof DELIVERY_ON_WIRE;

/** Of object 5; 1.1 and 1.2 go with LwM2M 1.1 and later. */
export const FIRMWARE_OBJECT_VERSIONS = ["1.0", "1.1", "1.2"] as const;

export type FirmwareObjectVersion = (typeof FIRMWARE_OBJECT_VERSIONS)[number];

/** Each request ends with its response code. */
export interface FirmwareObjectPorts {
  facts(): Persisted;
  packageName(): string | undefined;
  packageVersion(): string | undefined;
  writePackage(bytes: Uint8Array): Promise<number>;
  writeUri(uri: string): Promise<number>;
  update(): Promise<number>;
  cancel(): Promise<number>;
  writeSetting(setting: UpdateSetting): Promise<number>;
  readonly methods: DeliveryMethods;
  /** Values of resource 8. */
  readonly protocols: readonly number[];
}

const MAX_URI_LENGTH = 255;
const ID = FIRMWARE_UPDATE_RESOURCES;

/** Version 1.0 is without Cancel and what came with it (10 … 13), version 1.1 without Automatic Upgrade at Download (14). */
export function createFirmwareObject(ports: FirmwareObjectPorts, version: FirmwareObjectVersion): DeviceObject {
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
  if (version === "1.0") return { id: FIRMWARE_UPDATE_ID, resources: new Map(resources) };
  const { facts, writeSetting } = ports;
  resources.push(
    [ID.cancel, { execute: () => ports.cancel() }],
    [ID.severity, { read: () => facts().severity, write: (value) => writeSetting({ severity: Number(value) }) }],
    [ID.lastStateChangeTime, { read: () => facts().lastStateChangeAtS }],
    [
      ID.maximumDeferPeriod,
      {
        read: () => facts().maximumDeferPeriodS,
        write: (value) => writeSetting({ maximumDeferPeriodS: Number(value) }),
      },
    ],
  );
  if (version === "1.2") {
    const write = (value: ResourceValue): Promise<number> => writeSetting({ automaticUpgrade: value === true });
    resources.push([ID.automaticUpgrade, { read: () => facts().automaticUpgrade, write }]);
  }
  return { id: FIRMWARE_UPDATE_ID, version, resources: new Map(resources) };
}

function writeUri(ports: FirmwareObjectPorts, value: ResourceValue): Promise<number> | number {
  if (typeof value !== "string" || value.length > MAX_URI_LENGTH) return CODE.badRequest;
  return ports.writeUri(value);
}
