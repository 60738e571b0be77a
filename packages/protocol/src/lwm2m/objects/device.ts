/** Device, object 3: who makes it, what runs on it, reboot (versions 1.0 to 1.2 have the same resources). */
import { defineObject } from "./definition.ts";

const definition = defineObject(
  { id: 3, name: "Device", versions: ["1.0", "1.1", "1.2"], flags: "!" },
  {
    manufacturer: [0, "Manufacturer", "R", "string"],
    modelNumber: [1, "Model Number", "R", "string"],
    serialNumber: [2, "Serial Number", "R", "string"],
    firmwareVersion: [3, "Firmware Version", "R", "string"],
    reboot: [4, "Reboot", "E!", "none"],
    factoryReset: [5, "Factory Reset", "E", "none"],
    availablePowerSources: [6, "Available Power Sources", "R*", "integer", { range: "0..7" }],
    powerSourceVoltage: [7, "Power Source Voltage", "R*", "integer"],
    powerSourceCurrent: [8, "Power Source Current", "R*", "integer"],
    batteryLevel: [9, "Battery Level", "R", "integer", { range: "0..100", units: "/100" }],
    memoryFree: [10, "Memory Free", "R", "integer"],
    errorCode: [11, "Error Code", "R*!", "integer", { range: "0..32" }],
    resetErrorCode: [12, "Reset Error Code", "E", "none"],
    currentTime: [13, "Current Time", "RW", "time"],
    utcOffset: [14, "UTC Offset", "RW", "string"],
    timezone: [15, "Timezone", "RW", "string"],
    supportedBindings: [16, "Supported Binding and Modes", "R!", "string"],
    deviceType: [17, "Device Type", "R", "string"],
    hardwareVersion: [18, "Hardware Version", "R", "string"],
    softwareVersion: [19, "Software Version", "R", "string"],
    batteryStatus: [20, "Battery Status", "R", "integer", { range: "0..6" }],
    memoryTotal: [21, "Memory Total", "R", "integer"],
    externalDevices: [22, "ExtDevInfo", "R*", "objlnk"],
  },
);

export const DEVICE_ID = 3;
export const DEVICE_MODELS = definition.models;

/** Resource ids of object 3. */
export const DEVICE_RESOURCES = definition.ids;
