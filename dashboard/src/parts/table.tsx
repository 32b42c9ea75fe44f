/** A plain table of a view: what stands in its columns is said once, for head and rows. */
import type { ReactNode } from "react";
import "./table.css";

export interface Column<T> {
  name: string;
  cell: (row: T) => ReactNode;
  /** Of numbers, which stand right. */
  number?: boolean;
  /** Left out on narrow screens. */
  minor?: boolean;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  loud?: (row: T) => boolean;
}

export function Table<T>({ label, columns, rows, id, loud }: Props<T>) {
  const style = (column: Column<T>) =>
    `${column.number ? "number" : ""} ${column.minor ? "minor" : ""}`.trim() || undefined;
  return (
    <section className="table-scroller" tabIndex={0} aria-label={label}>
      <table className="table">
        <caption className="unseen">{label}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" className={style(column)}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)} className={loud?.(row) ? "loud" : undefined}>
              {columns.map((column) => (
                <td key={column.name} className={style(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
