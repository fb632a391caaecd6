import type { Queryable } from "../platform/postgres.ts";
import { COUNTS, USED } from "./second.ts";

/** What calls of a model used and cost (micro-credits). Failed ones are among the requests. */
export interface ModelUse {
  model: string;
  requests: bigint;
  failed: bigint;
  tokens: bigint;
  cost: bigint;
}

const TOKENS = "(input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens + output_tokens + reasoning_tokens)";

/** Whole hours lie from `low` to `high`; what is outside them is read call by call. */
const HOURS = `least(date_trunc('hour', q.from_at + interval '1 hour' - interval '1 microsecond', 'UTC'), q.until_at) AS low`;

/**
 * What the settled calls of users that began in a span of time used, by model, in the order asked: whole hours from the roll-ups, the
 * parts of one at both ends from the calls.
 */
export async function usedByModel(tx: Queryable, asked: readonly { userId: string; from: Date; until: Date }[]): Promise<ModelUse[][]> {
  const { rows } = await tx.query<ModelUse & { n: bigint }>(
    `SELECT q.n, u.model, sum(u.requests)::bigint AS requests, sum(u.failed)::bigint AS failed, sum(u.tokens)::bigint AS tokens,
       sum(u.cost)::bigint AS cost
     FROM (
       SELECT q.*, greatest(date_trunc('hour', q.until_at, 'UTC'), q.low) AS high
       FROM (SELECT q.*, ${HOURS} FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS q (user_id, from_at, until_at, n)) q
     ) q
     CROSS JOIN LATERAL (
       SELECT model, requests, failed, ${TOKENS} AS tokens, cost FROM usage_hourly h
       WHERE h.user_id = q.user_id AND h.hour >= q.low AND h.hour < q.high
       UNION ALL
       SELECT model, 1, (status = 'failed')::integer, ${TOKENS} * ${USED}, cost FROM usage_events e
       WHERE e.user_id = q.user_id AND e.created_at >= q.from_at AND e.created_at < q.low AND e.settled_at IS NOT NULL AND ${COUNTS}
       UNION ALL
       SELECT model, 1, (status = 'failed')::integer, ${TOKENS} * ${USED}, cost FROM usage_events e
       WHERE e.user_id = q.user_id AND e.created_at >= q.high AND e.created_at < q.until_at AND e.settled_at IS NOT NULL AND ${COUNTS}
     ) u
     GROUP BY q.n, u.model ORDER BY q.n, cost DESC, u.model`,
    [asked.map(({ userId }) => userId), asked.map(({ from }) => from), asked.map(({ until }) => until)],
  );
  const used: ModelUse[][] = asked.map(() => []);
  for (const { n, ...use } of rows) used[Number(n) - 1]!.push(use);
  return used;
}

/**
 * What of the charges of settled calls that began at a moment or later was taken from wallets when they were settled: their cost without
 * what was owed.
 */
export async function paidSince(tx: Queryable, asked: readonly { userId: string; at: Date }[]): Promise<bigint[]> {
  const until = new Date("9999-01-01T00:00:00Z");
  const used = await usedByModel(
    tx,
    asked.map(({ userId, at }) => ({ userId, from: at, until })),
  );
  const { rows } = await tx.query<{ owed: bigint }>(
    `SELECT coalesce((
       SELECT sum(s.owed) FROM usage_events e JOIN ledger_settlements s ON s.id = e.id::text
       WHERE e.user_id = q.user_id AND e.created_at >= q.at AND s.owed > 0 AND EXISTS (SELECT FROM ledger_shortfalls WHERE wallet_id = e.wallet_id)
     ), 0)::bigint AS owed
     FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS q (user_id, at, n) ORDER BY q.n`,
    [asked.map(({ userId }) => userId), asked.map(({ at }) => at)],
  );
  return used.map((models, n) => models.reduce((sum, { cost }) => sum + cost, 0n) - rows[n]!.owed);
}

/** Those of the users some of whose calls from before their moment are recorded but not settled. Older than two days, a call waits no more. */
export async function unsettledBefore(tx: Queryable, asked: readonly { userId: string; before: Date }[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ user_id: string }>(
    `SELECT q.user_id FROM unnest($1::uuid[], $2::timestamptz[]) AS q (user_id, before)
     WHERE EXISTS (
       SELECT FROM usage_events e WHERE e.user_id = q.user_id AND e.created_at < q.before AND e.created_at >= q.before - interval '2 days'
         AND e.billable AND e.settled_at IS NULL AND e.set_aside_at IS NULL)`,
    [asked.map(({ userId }) => userId), asked.map(({ before }) => before)],
  );
  return new Set(rows.map(({ user_id }) => user_id));
}
