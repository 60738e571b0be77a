/** Values of a device for people at a terminal. */
import type { DeviceValue, DoneAnswer } from "@airlift/protocol/api/operations";
import { table } from "./text.ts";

export function valueTable(values: readonly DeviceValue[]): string {
  if (values.length === 0) return "no value\n";
  return table(
    ["PATH", "NAME", "VALUE"],
    values.map((one) => [one.path, one.name ?? "-", valueText(one)]),
  );
}

/** "21.5 Cel". */
export const valueText = ({ value, unit }: DeviceValue): string => `${value}${unit === null ? "" : ` ${unit}`}`;

export const doneText = ({ code, created }: DoneAnswer): string =>
  created === null ? `done (${code})\n` : `created ${created} (${code})\n`;
