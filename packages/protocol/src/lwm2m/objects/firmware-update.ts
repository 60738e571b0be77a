/** Firmware Update, object 5, versions 1.0 to 1.2. Its behaviour is the table in update/firmware-update. */
import { defineObject } from "./definition.ts";

const definition = defineObject(
  { id: 5, name: "Firmware Update", versions: ["1.0", "1.1", "1.2"], flags: "" },
  {
    package: [0, "Package", "W!", "opaque"],
    packageUri: [1, "Package URI", "RW!", "string", { range: "0..255" }],
    update: [2, "Update", "E!", "none"],
    state: [3, "State", "R!", "integer", { range: "0..3" }],
    updateResult: [5, "Update Result", "R!", "integer", { range: "0..11" }],
    packageName: [6, "PkgName", "R", "string", { range: "0..255" }],
    packageVersion: [7, "PkgVersion", "R", "string", { range: "0..255" }],
    protocolSupport: [8, "Firmware Update Protocol Support", "R*", "integer", { range: "0..5" }],
    deliveryMethod: [9, "Firmware Update Delivery Method", "R!", "integer", { range: "0..2" }],
    cancel: [10, "Cancel", "E", "none", { since: "1.1" }],
    severity: [11, "Severity", "RW", "integer", { range: "0..2", since: "1.1" }],
    lastStateChangeTime: [12, "Last State Change Time", "R", "time", { since: "1.1" }],
    maximumDeferPeriod: [13, "Maximum Defer Period", "RW", "unsigned", { units: "s", since: "1.1" }],
    automaticUpgrade: [14, "Automatic Upgrade at Download", "RW", "boolean", { since: "1.2" }],
  },
);

export const FIRMWARE_UPDATE_ID = 5;
export const FIRMWARE_UPDATE_MODELS = definition.models;

/** Resource ids of object 5. */
export const FIRMWARE_UPDATE_RESOURCES = definition.ids;

/** Values of Firmware Update Protocol Support; a device without that resource speaks CoAP alone. */
export const PROTOCOL_ON_WIRE = {
  coap: 0,
  coaps: 1,
  http: 2,
  https: 3,
  "coap+tcp": 4,
  "coaps+tcp": 5,
} as const;

/** Values of Firmware Update Delivery Method. */
export const DELIVERY_ON_WIRE = { pull: 0, push: 1, both: 2 } as const;

/** Values of Severity; mandatory is the default. */
export const SEVERITY_ON_WIRE = { critical: 0, mandatory: 1, optional: 2 } as const;
