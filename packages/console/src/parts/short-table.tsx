/** A table that is whole, and can be printed. On a phone each row is a card, as those of long tables are. */

import { useNarrow } from "./narrow.ts";
import { Scrolls } from "./scrolls.tsx";
import { TableHead } from "./table-head.tsx";
import { type Column, cardOrder } from "./virtual-rows.tsx";

export interface ShortTableProps<Row> {
  /** What the table is, for those who hear it. */
  readonly label: string;
  /** The first is what a row is about. */
  readonly columns: readonly Omit<Column<Row>, "width">[];
  readonly rows: readonly Row[];
  /** No two rows have the same. */
  readonly keyOf: (row: Row) => string | number;
}

export const ShortTable = <Row,>(props: ShortTableProps<Row>) =>
  useNarrow() ? <Cards {...props} /> : <PlainTable {...props} />;

const Cards = <Row,>({ label, columns, rows, keyOf }: ShortTableProps<Row>) => (
  <ul className="cards" aria-label={label}>
    {rows.map((row) => (
      <li key={keyOf(row)} className="card">
        {cardOrder(columns).map(({ name, cell, onCard = "fact" }) => (
          <span key={name} data-part={onCard}>
            {onCard === "fact" && <span className="cell-name">{name}</span>}
            {cell(row)}
          </span>
        ))}
      </li>
    ))}
  </ul>
);

const PlainTable = <Row,>({ label, columns, rows, keyOf }: ShortTableProps<Row>) => (
  <Scrolls label={label}>
    <table className="plain">
      <TableHead names={columns.map(({ name }) => name)} />
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map(({ name, cell, onCard }, at) =>
              at === 0 ? (
                <th key={name} scope="row" className="anywhere">
                  {cell(row)}
                </th>
              ) : (
                <td key={name} className={onCard === "text" ? "anywhere value" : undefined}>
                  {cell(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolls>
);
