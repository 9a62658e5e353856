/**
 * A table that becomes a list of cards on narrow screens. The roles are spelled out because style
 * sheets that turn a table into blocks take its meaning away from assistive technology.
 */

// biome-ignore-all lint/a11y/noRedundantRoles: not redundant where the display is changed
import type { ComponentChildren } from "preact";

/**
 * One column. `key` cells do not break; a `lead` cell heads a card together with its title;
 * `extra` cells are left out of cards.
 */
export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly kind?: "text" | "lead" | "key" | "extra" | "number" | "actions";
}

interface TableProperties<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
}

/** The table. */
export function DataTable<Row>({ label, columns, rows, rowKey }: TableProperties<Row>) {
  return (
    <table class="data-table" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th
              key={column.key}
              role="columnheader"
              scope="col"
              class={`col-${column.kind ?? "text"}`}
            >
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={rowKey(row)} role="row" data-key={rowKey(row)}>
            {columns.map((column) => (
              <td
                key={column.key}
                role="cell"
                class={`col-${column.kind ?? "text"}`}
                data-title={column.title}
              >
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
