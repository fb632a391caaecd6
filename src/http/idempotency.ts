import type { Pool } from "../platform/postgres.ts";
import { appError } from "../platform/errors.ts";
import { sha256 } from "../platform/secrets.ts";
import type { Reply } from "./route.ts";

const KEY = /^[\x21-\x7e]{1,255}$/;
/** After this long an unfinished first call counts as dead and its key may run again; what it did is idempotent by the same key. */
const STALE_MS = 60_000;

interface Row {
  body_hash: string;
  status: number | null;
  answer: { message?: string; data: unknown } | null;
  fresh: boolean;
}

export interface Idempotency {
  /**
   * Runs `work` once per (scope, key): the same body gives the stored answer, another body `idempotency_mismatch`, a first call still
   * running `conflict`. Only successes are stored, so that a refused call may be sent again.
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
  return {
    async once({ scope, key, body }, work) {
      const bodyHash = sha256(JSON.stringify(body) ?? "");
      const claimed = await pool.query(
        `INSERT INTO idempotency_keys (scope, key, body_hash) VALUES ($1, $2, $3)
         ON CONFLICT (scope, key) DO UPDATE SET claimed_at = now()
           WHERE idempotency_keys.status IS NULL AND idempotency_keys.body_hash = $3
             AND idempotency_keys.claimed_at < now() - make_interval(secs => $4::float8 / 1000)
         RETURNING key`,
        [scope, key, bodyHash, STALE_MS],
      );
      if (claimed.rowCount === 0) {
        const { rows } = await pool.query<Row>("SELECT body_hash, status, answer FROM idempotency_keys WHERE scope = $1 AND key = $2", [
          scope,
          key,
        ]);
        const row = rows[0];
        if (row && row.body_hash !== bodyHash) throw appError("idempotency_mismatch");
        if (row?.status && row.answer) {
          return { status: row.status, ...row.answer, headers: { "Idempotent-Replayed": "true" } };
        }
        throw appError("conflict", { message: "The first call with this Idempotency-Key is still running", retryAfter: 1 });
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
