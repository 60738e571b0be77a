/** Software Management, object 9: packages above the firmware, one instance each. */
import { defineObject } from "./definition.ts";

const TEXT = { range: "0..255 bytes" } as const;
const V1_1 = { since: "1.1" } as const;

const definition = defineObject(
  { id: 9, name: "LWM2M Software Management", versions: ["1.0", "1.1"], flags: "*" },
  {
    packageName: [0, "PkgName", "R!", "string", TEXT],
    packageVersion: [1, "PkgVersion", "R!", "string", TEXT],
    package: [2, "Package", "W", "opaque"],
    packageUri: [3, "Package URI", "W", "string", TEXT],
    install: [4, "Install", "E!", "none"],
    checkpoint: [5, "Checkpoint", "R", "objlnk"],
    uninstall: [6, "Uninstall", "E!", "none"],
    updateState: [7, "Update State", "R!", "integer", { range: "0..4" }],
    updateSupportedObjects: [8, "Update Supported Objects", "RW", "boolean"],
    updateResult: [9, "Update Result", "R!", "integer", { range: "0..200" }],
    activate: [10, "Activate", "E!", "none"],
    deactivate: [11, "Deactivate", "E!", "none"],
    activationState: [12, "Activation State", "R!", "boolean"],
    packageSettings: [13, "Package Settings", "RW", "objlnk"],
    userName: [14, "User Name", "W", "string", TEXT],
    password: [15, "Password", "W", "string", TEXT],
    statusReason: [16, "Status Reason", "R", "string"],
    softwareComponentLink: [17, "Software Component Link", "R*", "objlnk"],
    softwareComponentTreeLength: [18, "Software Component tree length", "R", "integer", { range: "0..255" }],
    start: [19, "Start", "E!", "none", V1_1],
    stop: [20, "Stop", "E!", "none", V1_1],
    operationalState: [21, "Operational State", "R!", "unsigned", { range: "0..15", ...V1_1 }],
    purge: [22, "Purge", "E", "none", V1_1],
  },
);

export const SOFTWARE_MANAGEMENT_ID = 9;
export const SOFTWARE_MANAGEMENT_MODELS = definition.models;

/** Resource ids of object 9. */
export const SOFTWARE_MANAGEMENT_RESOURCES = definition.ids;
