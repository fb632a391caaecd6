import type { Queryable } from "../platform/postgres.ts";
import { COUNTS, USED } from "./second.ts";

/** What calls used and were charged (micro-credits). Failed ones are among the requests. */
export interface Used {
  requests: bigint;
  failed: bigint;
  input_tokens: bigint;
  output_tokens: bigint;
  cost: bigint;
}

const HOUR_MS = 3_600_000;
const OWNERS: Record<string, "key_id" | "user_id"> = { key: "key_id", user: "user_id" };
const NOTHING: Used = { requests: 0n, failed: 0n, input_tokens: 0n, output_tokens: 0n, cost: 0n };

/** `share` is 1, or 0 for calls whose tokens do not count. */
const sums = (share: string) => `
  coalesce(sum((input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens) * ${share}), 0)::bigint AS input_tokens,
  coalesce(sum((output_tokens + reasoning_tokens) * ${share}), 0)::bigint AS output_tokens, coalesce(sum(cost), 0)::bigint AS cost`;

/** The column and id of `key:<uuid>` or `user:<uuid>`; undefined for anybody else. */
export function ownerOf(owner: string): { column: "key_id" | "user_id"; id: string } | undefined {
  const [kind = "", id = ""] = owner.split(":");
  const column = OWNERS[kind];
  return column && { column, id };
}

/**
 * What the calls of a key or a user (`key:<uuid>`, `user:<uuid>`) that began since a moment used, as far as they are settled: whole hours
 * from the roll-ups, the part of one before them (where a day begins at half past) from the calls. Nothing for anybody else.
 */
export async function usedSince(db: Queryable, owner: string, since: Date): Promise<Used> {
  const [kind = "", id] = owner.split(":");
  const column = OWNERS[kind];
  if (!column) return NOTHING;
  const firstHour = new Date(Math.ceil(since.getTime() / HOUR_MS) * HOUR_MS);
  const whole = await db.query<Used>(
    `SELECT coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(failed), 0)::bigint AS failed, ${sums("1")}
     FROM usage_hourly WHERE ${column} = $1 AND hour >= $2`,
    [id, firstHour],
  );
  if (firstHour.getTime() === since.getTime()) return whole.rows[0]!;
  const part = await db.query<Used>(
    `SELECT count(*) AS requests, count(*) FILTER (WHERE status = 'failed') AS failed, ${sums(USED)} FROM usage_events
     WHERE user_id = ${kind === "user" ? "$1" : "(SELECT user_id FROM usage_hourly WHERE key_id = $1 LIMIT 1)"} AND ${column} = $1
       AND created_at >= $2 AND created_at < $3 AND settled_at IS NOT NULL AND ${COUNTS}`,
    [id, since, firstHour],
  );
  return add(whole.rows[0]!, part.rows[0]!);
}

function add(a: Used, b: Used): Used {
  return {
    requests: a.requests + b.requests,
    failed: a.failed + b.failed,
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    cost: a.cost + b.cost,
  };
}

/** What they were charged, in micro-credits. */
export async function spentSince(db: Queryable, owner: string, since: Date): Promise<bigint> {
  return (await usedSince(db, owner, since)).cost;
}

/** What charged calls of a model used, whether or not they are settled. */
export interface Charged {
  model: string;
  requests: bigint;
  tokens: bigint;
}

/** The charged calls of a key or a user that began since a moment, by model: from the calls themselves, for whoever counts them anew. */
export async function chargedSince(db: Queryable, owner: string, since: Date): Promise<Charged[]> {
  const [kind = "", id] = owner.split(":");
  const column = OWNERS[kind];
  if (!column) return [];
  const { rows } = await db.query<Charged>(
    `SELECT model, count(*) AS requests, sum(input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens
       + output_tokens + reasoning_tokens)::bigint AS tokens
     FROM usage_events
     WHERE user_id = ${kind === "user" ? "$1" : "(SELECT user_id FROM api_keys WHERE id = $1)"} AND ${column} = $1 AND created_at >= $2
       AND billable
     GROUP BY model`,
    [id, since],
  );
  return rows;
}
