/** One instance of Software Management, object 9 in version 1.0. */
import { CODE } from "@airlift/protocol/coap/codes";
import type { ExecuteArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import {
  SOFTWARE_MANAGEMENT_ID,
  SOFTWARE_MANAGEMENT_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/software-management";
import {
  isActive,
  SOFTWARE_RESULT_ON_WIRE,
  SOFTWARE_STATE_ON_WIRE,
  type SoftwareRequest,
  type SoftwareResult,
  type SoftwareState,
} from "@airlift/protocol/update/software-management";
import type { DeviceObject, Resource } from "./resource.ts";

/** Each request ends with its response code. */
export interface SoftwareObjectPorts {
  readonly instance: number;
  facts(): { readonly state: SoftwareState; readonly result: SoftwareResult };
  packageName(): string;
  packageVersion(): string;
  /** Why the last action failed, in words; empty when it did not. */
  reason(): string;
  writePackage(bytes: Uint8Array): Promise<number>;
  writeUri(uri: string): Promise<number>;
  request(request: Exclude<SoftwareRequest, "writePackage">): Promise<number>;
}

const MAX_TEXT_LENGTH = 255;
const ID = SOFTWARE_MANAGEMENT_RESOURCES;

export function createSoftwareObject(ports: SoftwareObjectPorts): DeviceObject {
  const resources: [number, Resource][] = [
    [ID.packageName, { read: () => ports.packageName() }],
    [ID.packageVersion, { read: () => ports.packageVersion() }],
    [ID.package, { write: (value) => ports.writePackage(value as Uint8Array) }],
    [
      ID.packageUri,
      {
        write: (value) =>
          typeof value === "string" && value.length <= MAX_TEXT_LENGTH ? ports.writeUri(value) : CODE.badRequest,
      },
    ],
    [ID.install, { execute: () => ports.request("install") }],
    [ID.uninstall, { execute: (given) => uninstall(ports, given) }],
    [ID.updateState, { read: () => SOFTWARE_STATE_ON_WIRE[ports.facts().state] }],
    [ID.updateResult, { read: () => SOFTWARE_RESULT_ON_WIRE[ports.facts().result] }],
    [ID.activate, { execute: () => ports.request("activate") }],
    [ID.deactivate, { execute: () => ports.request("deactivate") }],
    [ID.activationState, { read: () => isActive(ports.facts().state) }],
    [ID.statusReason, { read: () => ports.reason() }],
  ];
  return { id: SOFTWARE_MANAGEMENT_ID, instance: ports.instance, resources: new Map(resources) };
}

/** Without an argument, or with 0, the package is removed; 1 keeps it in place for an upgrade. */
function uninstall(ports: SoftwareObjectPorts, given: ExecuteArguments): Promise<number> | number {
  const digits = [...given.keys()];
  if (digits.length > 1 || digits.some((digit) => digit > 1)) return CODE.badRequest;
  return ports.request(given.has(1) ? "prepare" : "uninstall");
}
