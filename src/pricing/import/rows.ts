import { CsvError, parse } from "csv-parse/sync";
import { appError, fieldError } from "../../platform/errors.ts";
import { COLUMNS, READ_ONLY } from "./columns.ts";

/** One row of a price list, not checked yet. */
export interface ImportRow {
  /** Of the file, counted from 1; in a JSON list the number of the entry. */
  line: number;
  /** What the row says, in the shape of a new model. */
  value: Record<string, unknown>;
  /** Why the row cannot be read at all. */
  problem?: string;
}

const MOST_ROWS = 5_000;

function limited(rows: ImportRow[]): ImportRow[] {
  if (rows.length === 0) throw fieldError("body", "has no rows");
  if (rows.length > MOST_ROWS) throw fieldError("body", `must not have more than ${MOST_ROWS} rows`);
  return rows;
}

/** What a cell means for its field: nothing said when empty, null when it says so, else text, a number or a list. */
function cell(name: string, text: string): unknown {
  if (text === "") return undefined;
  if (text === "null") return null;
  // What keeps a spreadsheet from taking a text for a formula is no part of it.
  const plain = /^'[=+\-@]/.test(text) ? text.slice(1) : text;
  if (COLUMNS[name] === "list") return plain.split(/\s+/);
  if (COLUMNS[name] === "number") return /^\d+$/.test(plain) ? Number(plain) : plain;
  return plain;
}

/** Spreadsheets of some countries part cells by semicolons. */
function delimiterOf(text: string): string {
  const heading = text.slice(0, text.search(/[\r\n]|$/));
  return heading.includes(",") ? "," : heading.includes(";") ? ";" : heading.includes("\t") ? "\t" : ",";
}

interface Parsed {
  record: string[];
  info: { lines: number };
}

/** The rows of a CSV file whose first line names the columns. Throws `validation_failed` when it is no such file. */
export function csvRows(text: string): ImportRow[] {
  let lines: Parsed[];
  try {
    const options = {
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      delimiter: delimiterOf(text),
    } as const;
    lines = parse(text, options) as unknown as Parsed[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw appError("validation_failed", { message: `body: is not CSV: ${error.message}`, cause: error });
  }
  const heading = lines.shift()?.record ?? [];
  const unknown = heading.filter((name) => !(name in COLUMNS) && !READ_ONLY.has(name));
  if (unknown.length > 0) throw fieldError(unknown[0]!, "is not a known column");
  if (!heading.includes("name")) throw fieldError("name", "is required in the heading");
  const twice = heading.find((name, index) => heading.indexOf(name) !== index);
  if (twice !== undefined) throw fieldError(twice, "stands in the heading twice");
  return limited(
    lines.map(({ record, info }) => {
      const value = Object.fromEntries(heading.map((name, index) => [name, cell(name, record[index] ?? "")]));
      for (const name of READ_ONLY) delete value[name];
      const uneven = record.length !== heading.length;
      return { line: info.lines, value, ...(uneven ? { problem: `has ${record.length} cells, the heading has ${heading.length}` } : {}) };
    }),
  );
}

/** The rows of a JSON list of models. */
export function jsonRows(list: readonly Record<string, unknown>[]): ImportRow[] {
  return limited(
    list.map((value, index) => {
      const kept = Object.entries(value).filter(([name]) => !READ_ONLY.has(name));
      return { line: index + 1, value: Object.fromEntries(kept) };
    }),
  );
}
