import type { IncomingHttpHeaders } from "node:http";
import { createBatcher } from "../../platform/batcher.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";
import { sha256 } from "../../platform/secrets.ts";

/** A delivery that was refused or set aside, for operators. */
export interface Refusal {
  reason: string;
  /** The platform that it was sent for, when not by Dify's webhook. */
  source?: string;
  status: number;
  /** Key and signature were right: what it says was used. */
  authenticated: boolean;
  /** As far as it was read. */
  body: Buffer;
  headers: IncomingHttpHeaders;
  clientIp: string;
  message: string;
}

/** Keeps refusals without becoming a way to fill the disk. */
export interface Refusals {
  /** An authentic one; resolves when it is durable. Rejects when it cannot be. */
  keep(refusal: Refusal): Promise<void>;
  /** A stranger's: kept soon, as far as there is room; beyond that only counted. Never makes anybody wait. */
  note(refusal: Refusal): void;
  /** Writes what is waiting. */
  stop(): Promise<void>;
}

/** Why an authentic delivery is kept whole: an operator may take it all the same. `failed`: a fault of ours, which is mended by then. */
export const REPLAYABLE = ["stale", "future", "failed"] as const;

/** How much is kept of others that are authentic, and shown of any. */
export const KEPT_BYTES = 8_192;
const STRANGE_BYTES = 1_024;
/** Rows a minute that strangers can make in one process. */
const ROWS_A_MINUTE = 60;
const FLUSH_MS = 500;
const MINUTE_MS = 60_000;

/** Shown as they are; nothing else of the headers is kept but that key, signature and timestamp were there. */
const HARMLESS = ["content-type", "content-length", "user-agent", "x-request-id", "x-timestamp"];
const SECRET = ["x-api-key", "authorization", "x-signature"];

/** The headers that help, with what is secret in them told by its length alone. */
export function maskHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const name of HARMLESS) {
    const value = headers[name];
    if (typeof value === "string") shown[name] = printable(value.slice(0, 200));
  }
  for (const name of SECRET) {
    const value = headers[name];
    if (typeof value === "string") shown[name] = `(${value.length} characters)`;
  }
  return shown;
}

function keptOf({ authenticated, reason, source, body }: Refusal): number {
  if (!authenticated) return STRANGE_BYTES;
  // Other platforms sign anew what they send again.
  if (source !== undefined) return KEPT_BYTES;
  return REPLAYABLE.some((whole) => whole === reason) ? body.length : KEPT_BYTES;
}

/** Text that Postgres can hold. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?");

interface Row {
  refusal: Refusal;
  hash: string;
  times: number;
}

/** Creates the keeper of one process. */
export function createRefusals(deps: { pool: Pool; log: Logger; clock?: () => number }): Refusals {
  const { pool, log, clock = Date.now } = deps;
  let waiting = new Map<string, Row>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let room = ROWS_A_MINUTE;
  let minute = 0;

  /** Each row once: one statement cannot change a row twice. */
  async function write(rows: readonly Row[]): Promise<void> {
    await pool.query(
      `INSERT INTO dify_refusals AS r (reason, status, authenticated, hash, body, body_bytes, headers, client_ip, message, times, source)
       SELECT * FROM unnest($1::text[], $2::integer[], $3::boolean[], $4::text[], $5::bytea[], $6::bigint[], $7::jsonb[], $8::text[], $9::text[], $10::bigint[], $11::text[])
       ON CONFLICT (reason, hash) DO UPDATE SET times = r.times + excluded.times, last_at = now(), client_ip = excluded.client_ip`,
      [
        rows.map(({ refusal }) => refusal.reason),
        rows.map(({ refusal }) => refusal.status),
        rows.map(({ refusal }) => refusal.authenticated),
        rows.map(({ hash }) => hash),
        rows.map(({ refusal }) => refusal.body.subarray(0, keptOf(refusal))),
        rows.map(({ refusal }) => refusal.body.length),
        rows.map(({ refusal }) => JSON.stringify(maskHeaders(refusal.headers))),
        rows.map(({ refusal }) => printable(refusal.clientIp)),
        rows.map(({ refusal }) => refusal.message.slice(0, 1_000)),
        rows.map(({ times }) => times),
        rows.map(({ refusal }) => refusal.source ?? null),
      ],
    );
  }

  const hashOf = ({ source, body }: Refusal): string =>
    sha256(source === undefined ? body : Buffer.concat([Buffer.from(`${source}:`), body]));
  const rowOf = (refusal: Refusal): Row => ({ refusal, hash: hashOf(refusal), times: 1 });
  const keyOf = ({ refusal, hash }: Row): string => `${refusal.reason} ${hash}`;

  function merged(rows: readonly Row[]): Row[] {
    const byKey = new Map<string, Row>();
    for (const row of rows) {
      const same = byKey.get(keyOf(row));
      if (same) same.times += row.times;
      else byKey.set(keyOf(row), row);
    }
    // In one order for everybody, so that writers wait and never deadlock.
    return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  }

  const keeping = createBatcher<Refusal, undefined>({
    maxBatch: 200,
    async run(batch) {
      await write(merged(batch.map(rowOf)));
      return batch.map(() => undefined);
    },
  });

  async function flush(): Promise<void> {
    timer = undefined;
    const rows = [...waiting.values()];
    waiting = new Map();
    if (rows.length === 0) return;
    await write(merged(rows)).catch((error: unknown) =>
      log.warn({ err: error, refusals: rows.length }, "refused dify deliveries were not kept"),
    );
  }

  return {
    async keep(refusal) {
      await keeping.add(refusal);
    },
    note(refusal) {
      const now = Math.floor(clock() / MINUTE_MS);
      if (now !== minute) {
        minute = now;
        room = ROWS_A_MINUTE;
      }
      let row = rowOf(refusal);
      const known = waiting.get(keyOf(row));
      if (known) known.times += 1;
      else {
        if (room === 0) {
          // One row for all that there is no room for.
          row = {
            refusal: { ...refusal, body: Buffer.alloc(0), headers: {}, message: "More of these were not kept" },
            hash: "more",
            times: 1,
          };
          const more = waiting.get(keyOf(row));
          if (more) more.times += 1;
          else waiting.set(keyOf(row), row);
        } else {
          room -= 1;
          waiting.set(keyOf(row), row);
        }
      }
      timer ??= setTimeout(() => (writing = flush()), FLUSH_MS);
    },
    async stop() {
      clearTimeout(timer);
      await writing;
      await flush();
      await keeping.idle();
    },
  };
}

const DAYS_KEPT = 30;
const AUTHENTIC_KEPT = 100_000;
const STRANGE_KEPT = 10_000;

/** Forgets refusals that are old or too many. Part of the regular housekeeping. */
export async function forgetRefusals(pool: Pool): Promise<void> {
  await pool.query("SELECT dify_forget_refusals($1, $2, $3)", [DAYS_KEPT, AUTHENTIC_KEPT, STRANGE_KEPT]);
}
