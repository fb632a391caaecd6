import { setImmediate } from "node:timers/promises";

/** CSV files (RFC 4180) that may be of any length and are safe to open in a spreadsheet. */

type Cell = string | number | boolean | Date | null | undefined;

/** One column; `plain` for figures, ids and times of our own making, which need no guard (a negative amount begins with "-"). */
export interface CsvColumn<Row> {
  name: string;
  plain?: boolean;
  value(row: Row): Cell;
}

/** A spreadsheet takes a cell that begins so for a formula; the last four are full-width forms of the first. */
const FORMULA = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/;
const BOM = "\uFEFF";
const LINES_AT_ONCE = 200;

function text(value: Cell): string {
  if (value === null || value === undefined) return "";
  return value instanceof Date ? value.toISOString() : String(value);
}

/** One cell: a formula is made a text by a quotation mark in front, and what would break the line is quoted. */
export function csvCell(value: Cell, plain = false): string {
  const found = text(value);
  const safe = !plain && FORMULA.test(found) ? `'${found}` : found;
  return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function line<Row>(columns: readonly CsvColumn<Row>[], row: Row): string {
  return `${columns.map((column) => csvCell(column.value(row), column.plain)).join(",")}\r\n`;
}

/** Columns by the names of a view's fields; those in `texts` hold what people or providers wrote. */
export function columnsOf<Row extends object>(
  names: readonly (keyof Row & string)[],
  texts: readonly (keyof Row & string)[],
): CsvColumn<Row>[] {
  const guarded = new Set<string>(texts);
  return names.map((name) => ({
    name,
    plain: !guarded.has(name),
    value: (row) => {
      const value = row[name] as unknown;
      return typeof value === "object" && value !== null && !(value instanceof Date) ? JSON.stringify(value) : (value as Cell);
    },
  }));
}

/**
 * A file as pieces of text, one a page. The first holds the heading and the first page, so that whatever keeps the file from being made is
 * known before any of it is sent. `bom` marks it as UTF-8 for spreadsheets that guess.
 */
export async function* csvFile<Row>(
  columns: readonly CsvColumn<Row>[],
  pages: AsyncIterable<readonly Row[]>,
  options: { bom?: boolean } = {},
): AsyncGenerator<string> {
  let begun = `${options.bom ? BOM : ""}${columns.map(({ name }) => csvCell(name)).join(",")}\r\n`;
  for await (const rows of pages) {
    for (let first = 0; first < rows.length; first += LINES_AT_ONCE) {
      const lines = rows.slice(first, first + LINES_AT_ONCE);
      yield begun + lines.map((row) => line(columns, row)).join("");
      begun = "";
      // Others have their turn: a file of a million lines takes seconds of work in all.
      await setImmediate();
    }
  }
  if (begun) yield begun;
}

/** Headers of a file that is saved under this name. */
export function csvHeaders(fileName: string): Record<string, string> {
  return {
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": `attachment; filename="${fileName}"`,
    "cache-control": "no-store",
  };
}
