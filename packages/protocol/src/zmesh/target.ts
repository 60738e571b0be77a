/** Whether a firmware is for this device, before anything is erased. The version in the name is no proof. Source: profile 4. */
import { PeerError } from "../lib/errors.ts";
import type { Manifest } from "./manifest.ts";

/** What a device knows of itself. */
export interface TargetDevice {
  readonly manufacturer: string;
  readonly model: string;
  readonly hardwareRevision: string;
  /** What runs now; a delta starts from it. */
  readonly version: string;
  /** The highest security counter that was confirmed here. */
  readonly securityCounter: number;
}

/**
 * Throws unless the firmware is for the device. Texts are compared after Unicode normalization form C.
 *
 * @throws {PeerError} `TARGET_MANUFACTURER` · `TARGET_MODEL` · `TARGET_HARDWARE` · `TARGET_BASE_VERSION` a delta for another
 *   version · `TARGET_DOWNGRADE` a security counter below the device's; the same one is no downgrade.
 */
export function assertTarget(manifest: Manifest, device: TargetDevice): void {
  refuseUnless(isSameText(manifest.manufacturer, device.manufacturer), "TARGET_MANUFACTURER", "another manufacturer");
  refuseUnless(isSameText(manifest.model, device.model), "TARGET_MODEL", "another model");
  const { hardwareRevisions, baseVersion, securityCounter } = manifest;
  const isFitting = hardwareRevisions.some((revision) => isSameText(revision, device.hardwareRevision));
  refuseUnless(hardwareRevisions.length === 0 || isFitting, "TARGET_HARDWARE", "other hardware");
  refuseUnless(
    baseVersion === undefined || isSameText(baseVersion, device.version),
    "TARGET_BASE_VERSION",
    "another base",
  );
  refuseUnless(
    securityCounter >= device.securityCounter,
    "TARGET_DOWNGRADE",
    "a security counter that has been passed",
  );
}

function isSameText(a: string, b: string): boolean {
  return a.normalize("NFC") === b.normalize("NFC");
}

function refuseUnless(isFine: boolean, code: string, what: string): void {
  if (!isFine) throw new PeerError(code, `the firmware is for ${what}`);
}
