/** Device, object 3: who makes it, which firmware runs, and how to restart it. */

import { CODE } from "@airlift/protocol/coap/codes";
import { DEVICE_ID, DEVICE_RESOURCES } from "@airlift/protocol/lwm2m/objects/device";
import type { DeviceObject, Resource } from "./resource.ts";

/** What object 3 tells of the device. */
export interface DeviceIdentity {
  readonly manufacturer: string;
  readonly model: string;
  readonly serialNumber: string;
  /** Of the firmware that runs now; a function where an update takes effect without a restart. */
  readonly firmwareVersion: string | (() => string);
  readonly hardwareVersion?: string;
  /** Of what runs on top of the firmware, /3/0/19. */
  readonly softwareVersion?: string;
}

export interface DeviceObjectPorts {
  readonly identity: DeviceIdentity;
  readonly utcMs: () => number;
  /** `U` or `UQ`. */
  readonly binding: string;
  /** Restarts the device soon after it returns; absent: the server may not. */
  readonly reboot: (() => void) | undefined;
}

const NO_ERROR = 0;

function versionOf({ firmwareVersion }: DeviceIdentity): string {
  return typeof firmwareVersion === "string" ? firmwareVersion : firmwareVersion();
}

export function createDeviceObject({ identity, utcMs, binding, reboot }: DeviceObjectPorts): DeviceObject {
  // The clock of a process is not ours to set: what the server writes is kept as a difference.
  let clockOffsetS = 0;
  let utcOffset = "+00:00";
  let timezone = "Etc/UTC";
  const text = (value: string | undefined): Resource => ({ read: () => value });
  const nowS = (): number => Math.floor(utcMs() / 1000);
  const resources: [number, Resource][] = [
    [DEVICE_RESOURCES.manufacturer, text(identity.manufacturer)],
    [DEVICE_RESOURCES.modelNumber, text(identity.model)],
    [DEVICE_RESOURCES.serialNumber, text(identity.serialNumber)],
    [DEVICE_RESOURCES.firmwareVersion, { read: () => versionOf(identity) }],
    [DEVICE_RESOURCES.reboot, { execute: () => restart(reboot) }],
    [DEVICE_RESOURCES.errorCode, { read: () => new Map([[0, NO_ERROR]]) }],
    [DEVICE_RESOURCES.resetErrorCode, { execute: () => CODE.changed }],
    [
      DEVICE_RESOURCES.currentTime,
      {
        read: () => nowS() + clockOffsetS,
        write: (value) => {
          clockOffsetS = Number(value) - nowS();
          return CODE.changed;
        },
      },
    ],
    [
      DEVICE_RESOURCES.utcOffset,
      kept(
        () => utcOffset,
        (value) => (utcOffset = value),
        UTC_OFFSET,
      ),
    ],
    [
      DEVICE_RESOURCES.timezone,
      kept(
        () => timezone,
        (value) => (timezone = value),
        TIMEZONE,
      ),
    ],
    [DEVICE_RESOURCES.supportedBindings, text(binding)],
    [DEVICE_RESOURCES.hardwareVersion, text(identity.hardwareVersion)],
    [DEVICE_RESOURCES.softwareVersion, text(identity.softwareVersion)],
  ];
  return { id: DEVICE_ID, resources: new Map(resources) };
}

/** ISO 8601: `Z`, `+01`, `+0130`, `+01:30`. */
const UTC_OFFSET = /^(Z|[+-][0-9]{2}(:?[0-9]{2})?)$/;

/** A name of the time zone database, or a POSIX rule. */
const TIMEZONE = /^[\x20-\x7e]{1,64}$/;

function kept(read: () => string, set: (value: string) => void, pattern: RegExp): Resource {
  return {
    read,
    write: (value) => {
      if (typeof value !== "string" || !pattern.test(value)) return CODE.badRequest;
      set(value);
      return CODE.changed;
    },
  };
}

function restart(reboot: (() => void) | undefined): number {
  if (reboot === undefined) return CODE.methodNotAllowed;
  reboot();
  return CODE.changed;
}
