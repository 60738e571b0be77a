/** The objects this project knows by itself: 0 to 7, 9, 19 and 33629. */
import { createModels, type Models, type ObjectModel } from "../model.ts";
import type { Lwm2mVersion } from "../registration.ts";
import { ACCESS_CONTROL_MODELS } from "./access-control.ts";
import { ADVANCED_FIRMWARE_UPDATE_MODELS } from "./advanced-firmware-update.ts";
import { BINARY_APP_DATA_MODELS } from "./binary-app-data.ts";
import { CONNECTIVITY_MODELS } from "./connectivity.ts";
import { DEVICE_MODELS } from "./device.ts";
import { FIRMWARE_UPDATE_MODELS } from "./firmware-update.ts";
import { LOCATION_MODELS } from "./location.ts";
import { SECURITY_MODELS } from "./security.ts";
import { SERVER_MODELS } from "./server.ts";
import { SOFTWARE_MANAGEMENT_MODELS } from "./software-management.ts";

/** Every version of each; combine them with those of a registry folder for `createModels`. */
export const STANDARD_OBJECTS: readonly ObjectModel[] = [
  ...SECURITY_MODELS,
  ...SERVER_MODELS,
  ...ACCESS_CONTROL_MODELS,
  ...DEVICE_MODELS,
  ...CONNECTIVITY_MODELS,
  ...FIRMWARE_UPDATE_MODELS,
  ...LOCATION_MODELS,
  ...SOFTWARE_MANAGEMENT_MODELS,
  ...BINARY_APP_DATA_MODELS,
  ...ADVANCED_FIRMWARE_UPDATE_MODELS,
];

export const STANDARD_MODELS: Models = createModels(STANDARD_OBJECTS);

/** Versions of the enabler's own objects where they are not 1.0. */
const CORE_VERSIONS: Readonly<Record<Lwm2mVersion, Readonly<Record<number, string>>>> = {
  "1.0": {},
  "1.1": { 0: "1.1", 1: "1.1", 3: "1.1", 4: "1.2" },
  "1.2": { 0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1" },
};

/**
 * The version an object has when its registration does not say: that of the enabler for its own objects, else 1.0. It
 * is what the specification says, no proof that a later resource is missing.
 *
 * @see LwM2M Core 1.2 §7.2.2
 */
export function defaultObjectVersion(objectId: number, lwm2mVersion: Lwm2mVersion): string {
  return CORE_VERSIONS[lwm2mVersion][objectId] ?? "1.0";
}
