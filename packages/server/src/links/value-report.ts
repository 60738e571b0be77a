/** Values of devices as the API tells them, and what they told last. */
import type { DeviceValue, LastValue } from "@airlift/protocol/api/operations";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import { type Models, resourceAt } from "@airlift/protocol/lwm2m/model";
import { formatPath } from "@airlift/protocol/lwm2m/path";
import { naturalType } from "@airlift/protocol/lwm2m/value";
import { toJsonScalar } from "@airlift/protocol/lwm2m/value-json";

/** Times below are relative to now (RFC 8428 §4.5.3). */
const RELATIVE_BELOW_S = 2 ** 28;
/** The last instant whose year has four digits. */
const LAST_INSTANT_S = 253_402_300_799;

export function toDeviceValue(entry: Entry, models: Models, utcMs: number): DeviceValue {
  const model = resourceAt(models, entry.path);
  const type = model?.type ?? naturalType(entry.value);
  return {
    path: formatPath(entry.path),
    name: model?.name ?? null,
    type,
    unit: model === undefined || model.units === "" ? null : model.units,
    value: toJsonScalar(type, entry.value),
    measuredAt: measuredAt(entry.timeS, utcMs),
  };
}

function measuredAt(timeS: number | undefined, utcMs: number): string | null {
  if (timeS === undefined) return null;
  const seconds = timeS < RELATIVE_BELOW_S ? utcMs / 1000 + timeS : timeS;
  return seconds >= 0 && seconds <= LAST_INSTANT_S ? new Date(seconds * 1000).toISOString() : null;
}

export function toLastValues(values: readonly DeviceValue[], by: LastValue["by"], utcMs: number): LastValue[] {
  const receivedAt = new Date(utcMs).toISOString();
  return values.map((value) => ({ ...value, by, receivedAt }));
}
