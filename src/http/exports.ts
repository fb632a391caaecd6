import { csvFile, csvHeaders, type CsvColumn } from "./csv.ts";
import { streamed, type Reply } from "./route.ts";
import { createSlots } from "./slots.ts";

/** Files that are made while they are sent. */
export interface Exports {
  /** A CSV file of all pages. It takes its place when it begins and frees it when it ends, however it ends. Throws `rate_limited`. */
  csv<Row>(options: {
    userId: string;
    fileName: string;
    columns: readonly CsvColumn<Row>[];
    pages: AsyncIterable<readonly Row[]>;
    bom?: boolean | undefined;
  }): Reply;
}

/** Creates the exports of a process, with so many places. */
export function createExports(limits: { perUser: number; total: number } = { perUser: 2, total: 16 }): Exports {
  const slots = createSlots("exports", limits);

  async function* placed(userId: string, file: AsyncIterable<string>): AsyncGenerator<string> {
    const free = slots.take(userId);
    try {
      yield* file;
    } finally {
      free();
    }
  }

  return {
    csv: ({ userId, fileName, columns, pages, bom = false }) =>
      streamed(placed(userId, csvFile(columns, pages, { bom })), csvHeaders(fileName)),
  };
}
