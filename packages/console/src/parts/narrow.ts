/** What fits on a phone. */
import { useMediaQuery } from "@mantine/hooks";
import type { Column } from "./virtual-rows.tsx";

/** As in console.css: from here on the navigation stands above the page. */
const NARROW = "(max-width: 48em)";

export const useNarrow = (): boolean => useMediaQuery(NARROW, false, { getInitialValueInEffect: false });

/** A column that says how wide it is on a phone is among those that are in sight there; the others follow. */
export interface FittingColumn<Row> extends Column<Row> {
  readonly narrowWidth?: string;
}

/** On a phone first what has to be seen at once, in the order that the table has; whoever wants the rest scrolls there. */
export function fitting<Fitting extends FittingColumn<never>>(
  columns: readonly Fitting[],
  isNarrow: boolean,
): readonly Fitting[] {
  if (!isNarrow) return columns;
  const first = columns.filter(({ narrowWidth }) => narrowWidth !== undefined);
  const rest = columns.filter(({ narrowWidth }) => narrowWidth === undefined);
  return [...first.map((column) => ({ ...column, width: column.narrowWidth ?? column.width })), ...rest];
}
