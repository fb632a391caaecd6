import { createHash } from "node:crypto";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";

/** What was received in one call, and how it ended. */
export interface CallRecord {
  id: number;
  at: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
  status: number | undefined;
  /** Content events handed to the socket. */
  chunks: number;
  /** The caller closed the connection before the answer was complete. */
  aborted: boolean;
  /** The answer is complete, was broken off on purpose, or the caller left. */
  ended: boolean;
  /** From the whole request to that end. */
  endedAfterMs: number | undefined;
}

const KEPT = 1_000;
const SECRET = /^(authorization|x-api-key|api-key|cookie|proxy-authorization)$/;

function withoutSecrets(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      const text = String(value);
      // Which secret it was can be told by its hash.
      return [
        name,
        SECRET.test(name)
          ? `sha256:${createHash("sha256")
              .update(text.replace(/^Bearer /i, ""))
              .digest("hex")}`
          : text,
      ];
    }),
  );
}

/** The last calls, so that tests can prove what was sent here and that calls were aborted. */
export function createCallLog() {
  let calls: CallRecord[] = [];
  let count = 0;
  return {
    add(request: { method: string; path: string; headers: IncomingHttpHeaders; body: unknown }): CallRecord {
      const record: CallRecord = {
        id: ++count,
        at: new Date().toISOString(),
        method: request.method,
        path: request.path,
        headers: withoutSecrets(request.headers),
        body: request.body,
        status: undefined,
        chunks: 0,
        aborted: false,
        ended: false,
        endedAfterMs: undefined,
      };
      calls.push(record);
      if (calls.length > KEPT) calls = calls.slice(-KEPT / 2);
      return record;
    },
    /** Oldest first: those whose body or headers contain `q`, with an id above `after`. */
    list(filter: { q?: string | null; after?: number }): CallRecord[] {
      const { q } = filter;
      return calls.filter((call) => call.id > (filter.after ?? 0) && (!q || JSON.stringify([call.headers, call.body]).includes(q)));
    },
    clear(): void {
      calls = [];
    },
  };
}

/** Notes how a call ends. */
export function follow(response: ServerResponse, record: CallRecord): void {
  const startedMs = performance.now();
  let broken = false;
  const destroy = response.destroy.bind(response);
  // Broken off here, not by the caller.
  response.destroy = (error?: Error) => {
    broken = true;
    return destroy(error);
  };
  response.once("close", () => {
    record.status = response.headersSent ? response.statusCode : undefined;
    record.aborted = !response.writableFinished && !broken;
    record.ended = true;
    record.endedAfterMs = Math.round(performance.now() - startedMs);
  });
}
