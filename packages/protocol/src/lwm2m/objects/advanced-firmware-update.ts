/**
 * Advanced Firmware Update, object 33629 of AVSystem, version 1.0: one instance for each component of a device.
 *
 * Its resources are those of object 5 in version 1.1, and four more; its behaviour is the table in update/firmware-update.
 */
import { defineObject } from "./definition.ts";

const definition = defineObject(
  { id: 33_629, name: "Advanced Firmware Update", versions: ["1.0"], flags: "*" },
  {
    package: [0, "Package", "W!", "opaque"],
    packageUri: [1, "Package URI", "RW!", "string", { range: "0..255" }],
    update: [2, "Update", "E!", "none"],
    state: [3, "State", "R!", "integer", { range: "0..3" }],
    updateResult: [5, "Update Result", "R!", "integer", { range: "0..13" }],
    packageName: [6, "PkgName", "R", "string", { range: "0..255" }],
    packageVersion: [7, "PkgVersion", "R", "string", { range: "0..255" }],
    protocolSupport: [8, "Firmware Update Protocol Support", "R*", "integer", { range: "0..5" }],
    deliveryMethod: [9, "Firmware Update Delivery Method", "R!", "integer", { range: "0..2" }],
    cancel: [10, "Cancel", "E", "none"],
    severity: [11, "Severity", "RW", "integer", { range: "0..2" }],
    lastStateChangeTime: [12, "Last State Change Time", "R", "time"],
    maximumDeferPeriod: [13, "Maximum Defer Period", "RW", "unsigned", { units: "s" }],
    componentName: [14, "Component Name", "R!", "string"],
    currentVersion: [15, "Current Version", "R!", "string"],
    linkedInstances: [16, "Linked Instances", "R*", "objlnk"],
    conflictingInstances: [17, "Conflicting Instances", "R*", "objlnk"],
  },
);

export const ADVANCED_FIRMWARE_UPDATE_ID = 33_629;
export const ADVANCED_FIRMWARE_UPDATE_MODELS = definition.models;

/** Resource ids of object 33629. */
export const ADVANCED_FIRMWARE_UPDATE_RESOURCES = definition.ids;
