/** Which file brings the image to a device: the image itself, or a delta from what the device runs. */
import { compareVersions } from "@airlift/protocol/image/version";
import type { UpdateOrder, UpdateSnapshot } from "./driver-messages.ts";
import { type DeviceReport, runningVersion } from "./report.ts";

/** A delta that makes the image of an update. */
export interface DeltaOffer {
  readonly id: string;
  readonly baseVersion: string;
  readonly sizeBytes: number;
}

/** What may be sent in place of an image, and to devices of which make. */
export interface DeltaOffers {
  readonly manufacturer: string;
  readonly model: string;
  readonly deltas: readonly DeltaOffer[];
}

/** What is sent: a delta, or the whole image; `why` not a delta, null where none was asked for. */
export type PackageChoice = { readonly delta: DeltaOffer } | { readonly delta: null; readonly why: string | null };

/** No device can be asked whether it takes deltas, so a delta goes out where the operator asks for one, and only once. */
export function choosePackage(order: UpdateOrder, snapshot: UpdateSnapshot, report: DeviceReport): PackageChoice {
  const { offers } = order;
  if (offers === undefined) return whole(null);
  if (snapshot.deltaRefusal !== null) return whole(`it refused the delta with Update Result ${snapshot.deltaRefusal}`);
  if (snapshot.attempt > 1) return whole("a delta is for the first attempt");
  if (report.manufacturer !== offers.manufacturer || report.model !== offers.model)
    return whole(`it does not say that it is ${offers.manufacturer} ${offers.model}`);
  const version = runningVersion(report);
  if (version === null) return whole("it does not tell what it runs");
  const delta = offers.deltas.find(({ baseVersion }) => compareVersions(version, baseVersion) === 0);
  return delta === undefined ? whole(`there is no delta from ${version}, which it runs`) : { delta };
}

/** The file that is fetched or pushed. */
export function packageOf({ imageId, totalBytes }: UpdateOrder, { packageChoice }: UpdateSnapshot) {
  const delta = packageChoice?.delta;
  return delta ? { id: delta.id, sizeBytes: delta.sizeBytes } : { id: imageId, sizeBytes: totalBytes };
}

const whole = (why: string | null): PackageChoice => ({ delta: null, why });
