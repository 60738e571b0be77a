/** A table of any length of which only the rows in sight exist. On a phone each row is a card: nothing is beside the screen. */
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  memo,
  type ReactNode,
  type RefObject,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import { useNarrow } from "./narrow.ts";

/** The parts of a card, from its top: what it is about, how that stands, what there is to say of it, and the rest by name. */
const CARD_PARTS = ["title", "mark", "text", "fact"] as const;

export interface Column<Row> {
  readonly name: string;
  /** As in CSS, the least of it in rem: "12rem", "minmax(10rem, 1fr)". */
  readonly width: string;
  readonly cell: (row: Row) => ReactNode;
  /** Where a card has it. Default: "fact". */
  readonly onCard?: (typeof CARD_PARTS)[number];
  /** Present: the head is a button that changes the order. */
  readonly onSort?: () => void;
  readonly sorted?: "ascending" | "descending";
}

export interface VirtualTableProps<Row> {
  /** What the table is, for those who hear it. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly count: number;
  /** Undefined = on its way. */
  readonly rowAt: (index: number) => Row | undefined;
  /** The id of a row's record: no two have the same. */
  readonly keyOf: (row: Row) => string;
  /** What Enter on a row does. */
  readonly onOpen?: ((row: Row) => void) | undefined;
  /** Called with the rows in sight, both included, whenever they change. */
  readonly onSight?: ((first: number, last: number) => void) | undefined;
}

const ROW_PX = 36;
/** Until a card was seen; then it is as high as it is. */
const CARD_PX = 84;

/** Steps of the keys that move from row to row. */
const STEPS: Readonly<Record<string, number>> = {
  ArrowDown: 1,
  ArrowUp: -1,
  PageDown: 15,
  PageUp: -15,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

export function VirtualTable<Row>(props: VirtualTableProps<Row>) {
  const isNarrow = useNarrow();
  const { columns } = props;
  const cards = useMemo(() => cardOrder(columns), [columns]);
  return isNarrow ? <Rows key="cards" {...props} columns={cards} isCards /> : <Rows key="table" {...props} />;
}

/** Columns as they stand on a card, so that they are read aloud. */
export const cardOrder = <Of extends Pick<Column<never>, "onCard">>(columns: readonly Of[]): readonly Of[] =>
  CARD_PARTS.flatMap((part) => columns.filter(({ onCard = "fact" }) => onCard === part));

interface RowsProps<Row> extends VirtualTableProps<Row> {
  readonly isCards?: boolean;
}

function Rows<Row>({ isCards = false, ...props }: RowsProps<Row>) {
  const { label, columns, count, rowAt, keyOf, onSight } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const id = useId();
  const virtualizer = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => (isCards ? CARD_PX : ROW_PX),
    overscan: 6,
    // What is drawn later than the scrolling is better than what blocks it.
    useFlushSync: false,
  });
  const visible = virtualizer.getVirtualItems();
  const [first, last] = [visible[0]?.index ?? 0, visible.at(-1)?.index ?? 0];
  useEffect(() => onSight?.(first, last), [first, last, onSight]);
  const { active, onKeyDown } = useRowKeys(props, (index) => virtualizer.scrollToIndex(index));
  // Over cards only what changes their order is seen of it.
  const headPx = isCards && columns.every(({ onSort }) => onSort === undefined) ? 0 : ROW_PX;
  const layout = useMemo(() => (isCards ? {} : layoutOf(columns)), [columns, isCards]);
  return (
    <div
      ref={scroller}
      className="rows"
      data-cards={isCards || undefined}
      role="grid"
      aria-label={label}
      // Rows that do not exist cannot be counted by a screen reader: it is told.
      aria-rowcount={count + 1}
      // A short table ends with its last row.
      style={{ maxHeight: virtualizer.getTotalSize() + headPx + 3 }}
      aria-activedescendant={active === undefined ? undefined : `${id}-${active}`}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <Head columns={columns} layout={layout} />
      <div
        role="rowgroup"
        style={{ height: virtualizer.getTotalSize(), minWidth: layout.minWidth }}
        className="rows-body"
      >
        {visible.map(({ index, start }) => {
          const row = rowAt(index);
          return (
            <Line
              // Whatever a cell keeps, and the focus in it, is the record's: rows come in above it.
              key={row === undefined ? index : `of ${keyOf(row)}`}
              id={`${id}-${index}`}
              index={index}
              startPx={start}
              isActive={index === active}
              columns={columns}
              layout={layout}
              row={row}
              measure={isCards ? virtualizer.measureElement : undefined}
            />
          );
        })}
      </div>
    </div>
  );
}

/** Nothing of it on cards: those are as wide as the page. */
interface Layout {
  readonly gridTemplateColumns?: string;
  readonly minWidth?: string;
}

/** Every row is as wide as all its columns at least, whatever is in it: so they stand below each other. */
function layoutOf(columns: readonly Column<never>[]): Layout {
  const leastRem = columns.reduce((sum, { width }) => sum + Number(/([\d.]+)rem/.exec(width)?.[1] ?? 8), 0);
  return { gridTemplateColumns: columns.map(({ width }) => width).join(" "), minWidth: `${leastRem}rem` };
}

function Head({ columns, layout }: { readonly columns: readonly Column<never>[]; readonly layout: Layout }) {
  return (
    <div className="rows-head" role="row" style={layout}>
      {columns.map(({ name, onSort, sorted }) => (
        <div key={name} className="cell" role="columnheader" aria-sort={sorted}>
          {onSort === undefined ? (
            name
          ) : (
            <button type="button" className="sort" onClick={onSort}>
              {name} <span aria-hidden>{sorted === "descending" ? "▾" : "▴"}</span>
            </button>
          )}
        </div>
      ))}
    </div>
  );
}

interface LineProps<Row> {
  readonly id: string;
  readonly index: number;
  readonly startPx: number;
  readonly isActive: boolean;
  readonly columns: readonly Column<Row>[];
  readonly layout: Layout;
  readonly row: Row | undefined;
  /** Present: the line is as high as what is in it, and is measured. */
  readonly measure: ((line: HTMLElement | null) => void) | undefined;
}

function PlainLine<Row>({ id, index, startPx, isActive, columns, layout, row, measure }: LineProps<Row>) {
  const isCard = measure !== undefined;
  return (
    <div
      ref={measure}
      data-index={index}
      id={id}
      className="row"
      role="row"
      aria-rowindex={index + 2}
      data-active={isActive || undefined}
      style={{ ...layout, transform: `translateY(${startPx}px)`, height: isCard ? undefined : ROW_PX }}
    >
      {columns.map(({ name, cell, onCard = "fact" }, at) => (
        <div key={name} className="cell" data-part={isCard ? onCard : undefined} role="gridcell">
          {isCard && onCard === "fact" && row !== undefined && (
            // Who hears the table is told it as the column's head.
            <span className="cell-name" aria-hidden>
              {name}
            </span>
          )}
          {row === undefined ? at === 0 && <span className="coming">…</span> : cell(row)}
        </div>
      ))}
    </div>
  );
}

/** A row that stays in sight while others come and go is not drawn again. */
const Line = memo(PlainLine) as typeof PlainLine;

/** The row that the arrow keys are at. */
function useRowKeys<Row>({ count, rowAt, onOpen }: VirtualTableProps<Row>, scrollTo: (index: number) => void) {
  const [active, setActive] = useState<number>();
  const onKeyDown = (event: KeyboardEvent) => {
    // Keys for a link or button within a row are its own.
    if (event.target !== event.currentTarget) return;
    const row = active === undefined ? undefined : rowAt(active);
    if (event.key === "Enter" && row !== undefined) onOpen?.(row);
    const step = STEPS[event.key];
    if (step === undefined || count === 0) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(count - 1, active === undefined && step === 1 ? 0 : (active ?? 0) + step));
    setActive(to);
    scrollTo(to);
  };
  return { active: active !== undefined && active < count ? active : undefined, onKeyDown };
}

export interface VirtualRowsProps<Row> extends Omit<VirtualTableProps<Row>, "count" | "rowAt" | "onSight"> {
  readonly rows: readonly Row[];
  /** Called when the end comes into sight; more rows may come then. */
  readonly onEnd?: () => void;
}

/** The same for rows that are all here. */
export function VirtualRows<Row>({ rows, onEnd, ...props }: VirtualRowsProps<Row>) {
  const latest: RefObject<() => void> = useRef(() => {});
  latest.current = () => onEnd?.();
  const [onSight] = useState(() => (_: number, last: number) => {
    if (last >= lastRow.current - 50) latest.current();
  });
  const lastRow = useRef(0);
  lastRow.current = rows.length;
  return <VirtualTable {...props} count={rows.length} rowAt={(index) => rows[index]} onSight={onSight} />;
}
