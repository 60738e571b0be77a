/**
 * The objects that an update can go through, as data: where their resources are, how they are reset, and what their State
 * and Update Result mean in the words of object 5. One driver serves them all.
 */
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import {
  ADVANCED_FIRMWARE_UPDATE_ID,
  ADVANCED_FIRMWARE_UPDATE_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/advanced-firmware-update";
import { FIRMWARE_UPDATE_ID, FIRMWARE_UPDATE_RESOURCES } from "@airlift/protocol/lwm2m/objects/firmware-update";
import {
  SOFTWARE_MANAGEMENT_ID,
  SOFTWARE_MANAGEMENT_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/software-management";
import { executeRequest, writeRequest } from "@airlift/protocol/lwm2m/operations";
import { type Path, pathOf } from "@airlift/protocol/lwm2m/path";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { UpdateTarget } from "@airlift/protocol/update/update-target";
import type { DeviceReport } from "./report.ts";
import { readSoftwareStanding } from "./software-standing.ts";

/** The values of one object instance by resource. */
export type ReadValues = ReadonlyMap<number, readonly Entry["value"][]>;

/** How one update object's instance stands, in the words of object 5. */
export type Standing = NonNullable<DeviceReport["firmware"]>;

/** The ways to make a device forget what it was sent, or to make a package ready to be replaced. */
export type ResetForm = "emptyUri" | "zeroPackage" | "forget" | "prepare";

/** What is executed to go on: `install` is the Update of objects 5 and 33629 as well. */
export type ApplyStep = "install" | "activate";

export interface UpdateObject {
  /** As people read it: "Firmware Update object (/5)". */
  readonly name: string;
  readonly objectId: number;
  readonly instance: number;
  readonly resources: { readonly package: number; readonly packageUri: number };
  /** The resources that tell of every change; observed where the device can. */
  readonly observed: readonly number[];
  /** What is read one by one where the instance cannot be read whole. */
  readonly wanted: readonly number[];
  /** @returns `undefined` when the values are none that the object may have. */
  read(values: ReadValues): Standing | undefined;
  reset(form: ResetForm): Lwm2mRequest;
  apply(step: ApplyStep): Lwm2mRequest;
}

/** The object behind a target. */
export function updateObjectOf(target: UpdateTarget): UpdateObject {
  switch (target.kind) {
    case "firmware":
      return FIRMWARE_OBJECT;
    case "component":
      return componentObject(target.instance);
    case "software":
      return softwareObject(target.instance);
  }
}

/** The resources that objects 5 and 33629 share have the same ids (spec of object 33629, resources 0 … 13). */
const firmwareLike = (objectId: number, instance: number) => {
  const at = (resource: number): Path => pathOf(objectId, instance, resource);
  const {
    state,
    updateResult,
    deliveryMethod,
    protocolSupport,
    packageName,
    packageVersion,
    maximumDeferPeriod,
    automaticUpgrade,
  } = FIRMWARE_UPDATE_RESOURCES;
  return {
    objectId,
    instance,
    resources: FIRMWARE_UPDATE_RESOURCES,
    observed: [state, updateResult],
    wanted: [
      state,
      updateResult,
      deliveryMethod,
      protocolSupport,
      packageName,
      packageVersion,
      maximumDeferPeriod,
      automaticUpgrade,
    ],
    reset: (form: ResetForm): Lwm2mRequest =>
      form === "zeroPackage"
        ? writeRequest(at(0), "replace", { contentFormat: CONTENT_FORMATS.opaque, payload: Uint8Array.of(0) })
        : writeRequest(at(1), "replace", { contentFormat: CONTENT_FORMATS.text, payload: encodeUtf8("") }),
    apply: (): Lwm2mRequest => executeRequest(at(FIRMWARE_UPDATE_RESOURCES.update)),
  };
};

/** Object 5. @see OMA object 5, versions 1.0 … 1.2 */
export const FIRMWARE_OBJECT: UpdateObject = {
  ...firmwareLike(FIRMWARE_UPDATE_ID, 0),
  name: "Firmware Update object (/5)",
  read: (values) => readFirmware(values, 11),
};

/** One component of a device. Its Update takes the linked instances along, as the device declares them (resource 16). */
const componentObject = (instance: number): UpdateObject => {
  const base = firmwareLike(ADVANCED_FIRMWARE_UPDATE_ID, instance);
  const { currentVersion } = ADVANCED_FIRMWARE_UPDATE_RESOURCES;
  return {
    ...base,
    name: `component /${ADVANCED_FIRMWARE_UPDATE_ID}/${instance}`,
    wanted: [...base.wanted, currentVersion],
    read: (values) => {
      const standing = readFirmware(values, 13);
      return standing && { ...standing, currentVersion: textOf(values, currentVersion) };
    },
  };
};

const softwareObject = (instance: number): UpdateObject => {
  const ID = SOFTWARE_MANAGEMENT_RESOURCES;
  const at = (resource: number): Path => pathOf(SOFTWARE_MANAGEMENT_ID, instance, resource);
  return {
    name: `software package /${SOFTWARE_MANAGEMENT_ID}/${instance}`,
    objectId: SOFTWARE_MANAGEMENT_ID,
    instance,
    resources: ID,
    observed: [ID.updateState, ID.updateResult],
    wanted: [ID.updateState, ID.updateResult, ID.activationState, ID.packageName, ID.packageVersion],
    read: (values) =>
      readSoftwareStanding({
        state: wholeOf(values, ID.updateState),
        result: wholeOf(values, ID.updateResult),
        isActive: values.get(ID.activationState)?.[0] === true,
        name: textOf(values, ID.packageName),
        version: textOf(values, ID.packageVersion),
      }),
    // Uninstall with argument 1 keeps the package in place for an upgrade (object 9, resource 6).
    reset: (form) => executeRequest(at(ID.uninstall), form === "prepare" ? new Map([[1, undefined]]) : undefined),
    apply: (step) => executeRequest(at(step === "activate" ? ID.activate : ID.install)),
  };
};

/** Resets of object 5 by turns, since some devices know only one; of object 9 what its state asks for. */
export function resetFormFor(target: UpdateTarget, standing: Standing | undefined, count: number): ResetForm {
  if (target.kind === "software") return standing?.mustPrepare ? "prepare" : "forget";
  return count % 2 === 1 ? "emptyUri" : "zeroPackage";
}

function readFirmware(values: ReadValues, lastResult: number): Standing | undefined {
  const ID = FIRMWARE_UPDATE_RESOURCES;
  const state = wholeOf(values, ID.state);
  const result = wholeOf(values, ID.updateResult);
  // A State that object 5 does not have says nothing that an update could go by; a new Result is a failure like others.
  if (state === null || result === null || state < 0 || state > 3 || result < 0 || result > 255) return undefined;
  const automatic = values.get(ID.automaticUpgrade)?.[0];
  return {
    state,
    // Results 12 and 13 mean something in object 33629 alone.
    result: result > lastResult && result <= 13 ? UNKNOWN_RESULT : result,
    packageUri: textOf(values, ID.packageUri),
    packageName: textOf(values, ID.packageName),
    packageVersion: textOf(values, ID.packageVersion),
    protocols: values.get(ID.protocolSupport)?.filter(isWhole) ?? null,
    deliveryMethod: wholeOf(values, ID.deliveryMethod),
    maximumDeferPeriodS: wholeOf(values, ID.maximumDeferPeriod),
    automaticUpgrade: typeof automatic === "boolean" ? automatic : null,
  };
}

/** What stands for a result that the object does not define. */
const UNKNOWN_RESULT = 255;

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);

function wholeOf(values: ReadValues, resource: number): number | null {
  const value = values.get(resource)?.[0];
  return isWhole(value) ? value : null;
}

function textOf(values: ReadValues, resource: number): string | null {
  const value = values.get(resource)?.[0];
  return typeof value === "string" ? value : null;
}
