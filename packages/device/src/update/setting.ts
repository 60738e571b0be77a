/** Which values a server may set (row 41). */
import type { UpdateSetting } from "./messages.ts";

const LARGEST_SEVERITY = 2;

/** Whether the resource that `setting` names can hold its value. */
export function isAllowed(setting: UpdateSetting): boolean {
  if ("severity" in setting) return isWithin(setting.severity, LARGEST_SEVERITY);
  if ("maximumDeferPeriodS" in setting) return isWithin(setting.maximumDeferPeriodS, Number.MAX_SAFE_INTEGER);
  return true;
}

function isWithin(value: number, largest: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= largest;
}
