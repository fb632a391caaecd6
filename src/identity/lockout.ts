import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";

/** Failures that cost nothing, and the longest wait after that. An address stands for many people, so it may fail more often. */
const RULES = { account: { free: 5, longestSeconds: 900 }, ip: { free: 100, longestSeconds: 300 } } as const;
const FORGET_AFTER = "1 hour";
/** Attempts on one account that may wait for each other in this process. */
const QUEUE_MAX = 50;

/** Whose account is tried, and from where. `userId` is undefined for an account that does not exist. */
export interface Attempting {
  account: string;
  userId?: string | undefined;
  ip: string;
}

export interface Lockout {
  /**
   * Runs one attempt to prove who somebody is. Throws `too_many_attempts` while the account or the address is locked. A failed attempt
   * counts for both; after the free ones the wait doubles each time. A success forgets the account's failures.
   * Attempts on one account run one after the other, so that a burst cannot slip past the count.
   */
  attempt(who: Attempting, prove: () => Promise<boolean>): Promise<boolean>;
}

/** Counts in Postgres: the lock holds on every copy, and while Redis is away. */
export function createLockout(deps: { pool: Pool }): Lockout {
  const { pool } = deps;
  const turns = new Map<string, { last: Promise<unknown>; waiting: number }>();

  async function refuseWhileLocked(subjects: string[]): Promise<void> {
    const { rows } = await pool.query<{ seconds: number }>(
      `SELECT ceil(extract(epoch FROM max(locked_until) - now()))::int AS seconds FROM login_failures
       WHERE subject = ANY($1) AND locked_until > now() HAVING count(*) > 0`,
      [subjects],
    );
    if (rows[0]) throw appError("too_many_attempts", { retryAfter: Math.max(1, rows[0].seconds) });
  }

  /** `who` for an account: its own failures, from an address that it was signed in from, are counted beside the others. */
  async function count(subject: string, rule: { free: number; longestSeconds: number }, who?: Attempting): Promise<void> {
    await pool.query(
      `INSERT INTO login_failures AS f (subject, failures, last_failure_at, own_failures)
       VALUES ($1, 1, now(), EXISTS (SELECT FROM sessions WHERE user_id = $5 AND ip = $6)::integer)
       ON CONFLICT (subject) DO UPDATE SET
         own_failures = excluded.own_failures + CASE WHEN f.last_failure_at < now() - $4::interval THEN 0 ELSE f.own_failures END,
         failures = CASE WHEN f.last_failure_at < now() - $4::interval THEN 1 ELSE f.failures + 1 END,
         last_failure_at = now(),
         locked_until = CASE WHEN f.last_failure_at >= now() - $4::interval AND f.failures + 1 >= $2
           THEN now() + make_interval(secs => least(power(2, least(f.failures + 1 - $2, 30)), $3)) END`,
      [subject, rule.free, rule.longestSeconds, FORGET_AFTER, who?.userId ?? null, who?.ip ?? null],
    );
  }

  async function run(account: string, who: Attempting, prove: () => Promise<boolean>): Promise<boolean> {
    const ip = `ip:${who.ip}`;
    await refuseWhileLocked([account, ip]);
    const proven = await prove();
    if (proven) {
      await pool.query("DELETE FROM login_failures WHERE subject = $1", [account]);
    } else {
      await count(account, RULES.account, who);
      await count(ip, RULES.ip);
      await pool.query(
        "DELETE FROM login_failures WHERE subject IN (SELECT subject FROM login_failures WHERE last_failure_at < now() - $1::interval LIMIT 10)",
        [FORGET_AFTER],
      );
    }
    return proven;
  }

  return {
    async attempt(who, prove) {
      const account = `account:${who.account}`;
      const turn = turns.get(account) ?? { last: Promise.resolve(), waiting: 0 };
      if (turn.waiting >= QUEUE_MAX) throw appError("too_many_attempts", { retryAfter: 2 });
      turns.set(account, turn);
      turn.waiting += 1;
      const mine = turn.last.then(() => run(account, who, prove));
      turn.last = mine.catch(() => undefined);
      try {
        return await mine;
      } finally {
        turn.waiting -= 1;
        if (turn.waiting === 0) turns.delete(account);
      }
    },
  };
}
