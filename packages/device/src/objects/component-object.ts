/** One instance of Advanced Firmware Update, object 33629: what object 5 has, for a component, and its ties to others. */

import type { ExecuteArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import {
  ADVANCED_FIRMWARE_UPDATE_ID,
  ADVANCED_FIRMWARE_UPDATE_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/advanced-firmware-update";
import type { ObjectLink } from "@airlift/protocol/lwm2m/value";
import { createFirmwareObject, type FirmwareObjectPorts } from "./firmware-object.ts";
import type { DeviceObject, Resource } from "./resource.ts";

export interface ComponentObjectPorts extends Omit<FirmwareObjectPorts, "update"> {
  readonly instance: number;
  readonly name: string;
  currentVersion(): string;
  linked(): readonly number[];
  conflicting(): readonly number[];
  update(given: ExecuteArguments): Promise<number>;
}

const ID = ADVANCED_FIRMWARE_UPDATE_RESOURCES;

export function createComponentObject(ports: ComponentObjectPorts): DeviceObject {
  const own: [number, Resource][] = [
    [ID.update, { execute: (given) => ports.update(given) }],
    [ID.componentName, { read: () => ports.name }],
    [ID.currentVersion, { read: () => ports.currentVersion() }],
    [ID.linkedInstances, { read: () => links(ports.linked()) }],
    [ID.conflictingInstances, { read: () => links(ports.conflicting()) }],
  ];
  const { resources } = createFirmwareObject({ ...ports, update: () => ports.update(new Map()) }, "1.1");
  return {
    id: ADVANCED_FIRMWARE_UPDATE_ID,
    instance: ports.instance,
    resources: new Map([...resources, ...own]),
  };
}

function links(instances: readonly number[]): ReadonlyMap<number, ObjectLink> {
  const objectId = ADVANCED_FIRMWARE_UPDATE_ID;
  return new Map(instances.map((instanceId, index) => [index, { objectId, instanceId }]));
}
