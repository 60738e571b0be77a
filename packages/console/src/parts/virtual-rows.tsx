/** A table of any length of which only the rows in sight exist. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";

export interface Column<Row> {
  readonly name: string;
  /** As in CSS: "12rem", "minmax(10rem, 1fr)". */
  readonly width: string;
  readonly cell: (row: Row) => ReactNode;
}

export interface VirtualRowsProps<Row> {
  /** What the table is, for those who hear it. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Called when the end comes into sight; more rows may come then. */
  readonly onEnd?: () => void;
}

const ROW_PX = 36;

export function VirtualRows<Row>({ label, columns, rows, keyOf, onEnd }: VirtualRowsProps<Row>) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const visible = virtualizer.getVirtualItems();
  const lastIndex = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (lastIndex >= rows.length - 50) onEnd?.();
  }, [lastIndex, rows.length, onEnd]);
  const gridTemplateColumns = columns.map(({ width }) => width).join(" ");
  return (
    // Rows that do not exist cannot be counted by a screen reader: it is told.
    <div ref={scroller} className="rows" role="table" aria-label={label} aria-rowcount={rows.length + 1} tabIndex={0}>
      <div className="rows-head" role="row" style={{ gridTemplateColumns }}>
        {columns.map(({ name }) => (
          <div key={name} className="cell" role="columnheader">
            {name}
          </div>
        ))}
      </div>
      <div role="rowgroup" style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
        {visible.map(({ index, start }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            <div
              key={keyOf(row)}
              className="row"
              role="row"
              aria-rowindex={index + 2}
              style={{ gridTemplateColumns, transform: `translateY(${start}px)`, height: ROW_PX }}
            >
              {columns.map(({ name, cell }) => (
                <div key={name} className="cell" role="cell">
                  {cell(row)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}
