import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../platform/postgres.ts";
import { appError } from "../platform/errors.ts";
import { sha256 } from "../platform/secrets.ts";
import type { Reply } from "./route.ts";

const KEY = /^[\x21-\x7e]{1,255}$/;
/** How long a call waits for the answer of the one with the same key that is still running. */
const PATIENCE_MS = 10_000;
const POLL_MS = 50;
/** After this long an unfinished first call counts as dead and its key may run again; what it did is idempotent by the same key. */
const STALE_MS = 60_000;

interface Row {
  body_hash: string;
  status: number | null;
  answer: { message?: string; data: unknown } | null;
}

export interface Idempotency {
  /**
   * Runs `work` once per (scope, key): the same body gives the same answer, waiting for the first call when it still runs (`conflict` when that
   * takes too long), another body `idempotency_mismatch`. Only successes are stored, so that a refused call may be sent again.
   */
  once(call: { scope: string; key: string; body: unknown }, work: () => Promise<Reply>): Promise<Reply>;
}

/** Checks the form of an Idempotency-Key header; throws `validation_failed`. */
export function checkIdempotencyKey(key: string): void {
  if (!KEY.test(key)) {
    throw appError("validation_failed", {
      message: "Idempotency-Key: must be 1 to 255 printable characters",
      details: [{ field: "Idempotency-Key", message: "must be 1 to 255 printable characters" }],
    });
  }
}

/** Keeps answers in `idempotency_keys` for a day. */
export function createIdempotency(pool: Pool): Idempotency {
  /** True for the one caller that may run; also when the first one failed or died. */
  async function claim(scope: string, key: string, bodyHash: string): Promise<boolean> {
    const { rowCount } = await pool.query(
      `INSERT INTO idempotency_keys (scope, key, body_hash) VALUES ($1, $2, $3)
       ON CONFLICT (scope, key) DO UPDATE SET claimed_at = now()
         WHERE idempotency_keys.status IS NULL AND idempotency_keys.body_hash = $3
           AND idempotency_keys.claimed_at < now() - make_interval(secs => $4::float8 / 1000)`,
      [scope, key, bodyHash, STALE_MS],
    );
    return rowCount === 1;
  }

  return {
    async once({ scope, key, body }, work) {
      const bodyHash = sha256(JSON.stringify(body) ?? "");
      const deadline = Date.now() + PATIENCE_MS;
      while (!(await claim(scope, key, bodyHash))) {
        const { rows } = await pool.query<Row>("SELECT body_hash, status, answer FROM idempotency_keys WHERE scope = $1 AND key = $2", [
          scope,
          key,
        ]);
        const row = rows[0];
        if (row && row.body_hash !== bodyHash) throw appError("idempotency_mismatch");
        if (row?.status && row.answer) return { status: row.status, ...row.answer, headers: { "Idempotent-Replayed": "true" } };
        if (Date.now() > deadline) {
          throw appError("conflict", { message: "The first call with this Idempotency-Key is still running", retryAfter: 1 });
        }
        await delay(POLL_MS);
      }
      try {
        const reply = await work();
        await pool.query("UPDATE idempotency_keys SET status = $3, answer = $4 WHERE scope = $1 AND key = $2", [
          scope,
          key,
          reply.status ?? 200,
          JSON.stringify({ message: reply.message, data: reply.data }),
        ]);
        return reply;
      } catch (error) {
        await pool
          .query("DELETE FROM idempotency_keys WHERE scope = $1 AND key = $2 AND status IS NULL", [scope, key])
          .catch(() => undefined);
        throw error;
      }
    },
  };
}
