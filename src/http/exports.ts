import { appError } from "../platform/errors.ts";
import { streamed, type Reply } from "./route.ts";
import { csvFile, csvHeaders, type CsvColumn } from "./csv.ts";

/** Exports that run in this process: few for each person, and few at all, so that none of them is felt by others. */
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

const RETRY_S = 10;

/** Creates the counter of running exports; one per process. */
export function createExports(limits: { perUser: number; total: number } = { perUser: 2, total: 16 }): Exports {
  const running = new Map<string, number>();
  let total = 0;

  function take(userId: string): void {
    const own = running.get(userId) ?? 0;
    if (own >= limits.perUser || total >= limits.total) {
      const message = own >= limits.perUser ? `${own} exports of yours are running; wait for one to end` : "Many exports are running";
      throw appError("rate_limited", { message, retryAfter: RETRY_S });
    }
    running.set(userId, own + 1);
    total += 1;
  }

  function free(userId: string): void {
    const left = running.get(userId)! - 1;
    if (left > 0) running.set(userId, left);
    else running.delete(userId);
    total -= 1;
  }

  async function* counted(userId: string, file: AsyncIterable<string>): AsyncGenerator<string> {
    take(userId);
    try {
      yield* file;
    } finally {
      free(userId);
    }
  }

  return {
    csv: ({ userId, fileName, columns, pages, bom = false }) =>
      streamed(counted(userId, csvFile(columns, pages, { bom })), csvHeaders(fileName)),
  };
}
