import type { Clock } from "../platform/clock.ts";
import { appError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";

const DAY_MS = 86_400_000;

export interface EmailSends {
  /**
   * Takes one send to this address, whether it is known or not. Throws `rate_limited` with the seconds to wait while the pause since the
   * last send of this kind lasts or the address has had its share for a day. The returned function gives the send back.
   */
  claim(email: string, kind: string): Promise<() => Promise<void>>;
}

/** Counts sends per address in Postgres, so that the pause and the cap hold on every copy. */
export function createEmailSends(deps: { pool: Pool; clock: Clock; resendAfterMs: number; dailyCap: number }): EmailSends {
  const { pool, clock } = deps;
  return {
    async claim(email, kind) {
      const id = uuidv7();
      const now = clock.now().getTime();
      await inTransaction(pool, async (tx) => {
        await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 7266003))", [email]);
        const { rows } = await tx.query<{ last: Date | null; today: number; oldest: Date | null }>(
          `SELECT max(sent_at) FILTER (WHERE kind = $2) AS last, count(*)::int AS today, min(sent_at) AS oldest
           FROM email_sends WHERE email = $1 AND sent_at > $3`,
          [email, kind, new Date(now - DAY_MS)],
        );
        const { last, today, oldest } = rows[0]!;
        const pauseEnds = last ? last.getTime() + deps.resendAfterMs : 0;
        const capEnds = today >= deps.dailyCap && oldest ? oldest.getTime() + DAY_MS : 0;
        const waitMs = Math.max(pauseEnds, capEnds) - now;
        if (waitMs > 0)
          throw appError("rate_limited", { message: "A mail was sent to this address a moment ago", retryAfter: waitMs / 1_000 });
        await tx.query("INSERT INTO email_sends (id, email, kind, sent_at) VALUES ($1, $2, $3, $4)", [id, email, kind, new Date(now)]);
        await tx.query("DELETE FROM email_sends WHERE id IN (SELECT id FROM email_sends WHERE sent_at < $1 LIMIT 10)", [
          new Date(now - DAY_MS),
        ]);
      });
      return async () => {
        await pool.query("DELETE FROM email_sends WHERE id = $1", [id]);
      };
    },
  };
}
