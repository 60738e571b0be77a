/** Software Management (object 9) in the words of object 5, so that the driver of one drives the other. */
import { SOFTWARE_RESULT_ON_WIRE } from "@airlift/protocol/update/software-management";
import type { DeviceReport } from "./report.ts";

/** What an instance of object 9 tells. */
export interface SoftwareReading {
  /** /9/x/7: 0 Initial, 1 Download started, 2 Downloaded, 3 Delivered, 4 Installed. */
  readonly state: number | null;
  /** /9/x/9. */
  readonly result: number | null;
  /** /9/x/12. */
  readonly isActive: boolean;
  readonly name: string | null;
  readonly version: string | null;
}

/** Update Result of object 9 for the Update Result of object 5 that says the same. */
const RESULT: Readonly<Record<number, number>> = {
  [SOFTWARE_RESULT_ON_WIRE.initial]: 0,
  [SOFTWARE_RESULT_ON_WIRE.downloading]: 0,
  [SOFTWARE_RESULT_ON_WIRE.installed]: 1,
  [SOFTWARE_RESULT_ON_WIRE.verified]: 0,
  [SOFTWARE_RESULT_ON_WIRE.noStorage]: 2,
  [SOFTWARE_RESULT_ON_WIRE.noMemory]: 3,
  [SOFTWARE_RESULT_ON_WIRE.connectionLost]: 4,
  [SOFTWARE_RESULT_ON_WIRE.integrityFailed]: 5,
  [SOFTWARE_RESULT_ON_WIRE.unsupportedPackage]: 6,
  [SOFTWARE_RESULT_ON_WIRE.invalidUri]: 7,
  [SOFTWARE_RESULT_ON_WIRE.deviceError]: 8,
  [SOFTWARE_RESULT_ON_WIRE.installFailed]: 8,
  [SOFTWARE_RESULT_ON_WIRE.uninstallFailed]: 8,
};

const INSTALLED = 4;

/** Update State 0 … 4 of object 9 as State of object 5; a package that is being verified is not there yet. */
const STATE: readonly number[] = [0, 1, 1, 2, 0];

/** @returns `undefined` when State or Update Result are none of object 9. */
export function readSoftwareStanding(reading: SoftwareReading): NonNullable<DeviceReport["firmware"]> | undefined {
  const { state, result, isActive, name, version } = reading;
  if (state === null || result === null || result < 0 || result > 255) return undefined;
  const asFirmware = STATE[state];
  if (asFirmware === undefined) return undefined;
  const isInstalled = state === INSTALLED;
  // A package that is installed is what its last installation left, whatever was tried with it since.
  const told = RESULT[result] ?? 255;
  return {
    state: asFirmware,
    result: isInstalled && (result === SOFTWARE_RESULT_ON_WIRE.installed || isActive) ? 1 : told,
    wireState: state,
    wireResult: result,
    packageUri: null,
    packageName: name,
    packageVersion: version,
    protocols: null,
    deliveryMethod: null,
    currentVersion: isInstalled ? version : null,
    mustPrepare: isInstalled,
    needsActivation: isInstalled && !isActive,
    // Delivered and "being installed" are one number on the wire.
    mayBeInstalling: asFirmware === 2,
  };
}
