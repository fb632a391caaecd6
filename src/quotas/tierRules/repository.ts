import type { Queryable } from "../../platform/postgres.ts";
import type { Reason, TierRules } from "./decide.ts";

export interface RulesRow {
  version: number;
  rules: TierRules;
  author_id: string | null;
  reason: string | null;
  created_at: Date;
}

export interface StandingRow {
  user_id: string;
  tier: string;
  score: number;
  limit_percent: number;
  reviewed_at: Date;
  changed_at: Date | null;
}

export interface DecisionRow {
  id: bigint;
  user_id: string;
  from_tier: string;
  to_tier: string;
  score: number;
  reasons: Reason[];
  facts: Record<string, string | number>;
  rules_version: number;
  created_at: Date;
}

/** The rules in force; undefined before the first. */
export async function newestRules(db: Queryable): Promise<RulesRow | undefined> {
  const { rows } = await db.query<RulesRow>(
    "SELECT version, rules, author_id, reason, created_at FROM tier_rules ORDER BY version DESC LIMIT 1",
  );
  return rows[0];
}

/** Writes the next version. Two at once: one fails with a unique violation. */
export async function insertRules(tx: Queryable, rules: TierRules, by: { authorId: string; reason: string | null }): Promise<RulesRow> {
  const { rows } = await tx.query<RulesRow>(
    `INSERT INTO tier_rules (version, rules, author_id, reason)
     VALUES (coalesce((SELECT max(version) FROM tier_rules), 0) + 1, $1, $2, $3) RETURNING version, rules, author_id, reason, created_at`,
    [JSON.stringify(rules), by.authorId, by.reason],
  );
  return rows[0]!;
}

/** Takes subscribers whose last review is older than a moment, or who had none; those that somebody else has are passed over. */
export async function takeTurns(tx: Queryable, before: Date, limit: number): Promise<string[]> {
  const { rows } = await tx.query<{ user_id: string }>(
    `SELECT s.user_id FROM subscriptions s
     WHERE NOT EXISTS (SELECT FROM tier_standings t WHERE t.user_id = s.user_id AND t.reviewed_at > $1)
     ORDER BY s.user_id LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [before, limit],
  );
  return rows.map(({ user_id }) => user_id);
}

/** A page of subscribers by id, for a look at what rules would do. */
export async function pageOfSubscribers(db: Queryable, after: string, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ user_id: string }>("SELECT user_id FROM subscriptions WHERE user_id > $1 ORDER BY user_id LIMIT $2", [
    after,
    limit,
  ]);
  return rows.map(({ user_id }) => user_id);
}

export async function standingsOf(db: Queryable, userIds: readonly string[]): Promise<Map<string, StandingRow>> {
  const { rows } = await db.query<StandingRow>(
    "SELECT user_id, tier, score, limit_percent, reviewed_at, changed_at FROM tier_standings WHERE user_id = ANY ($1)",
    [userIds],
  );
  return new Map(rows.map((row) => [row.user_id, row]));
}

/** Writes what reviews found. */
export async function putStandings(tx: Queryable, standings: readonly StandingRow[]): Promise<void> {
  await tx.query(
    `INSERT INTO tier_standings (user_id, tier, score, limit_percent, reviewed_at, changed_at)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::timestamptz[])
     ON CONFLICT (user_id) DO UPDATE SET tier = excluded.tier, score = excluded.score, limit_percent = excluded.limit_percent,
       reviewed_at = excluded.reviewed_at, changed_at = excluded.changed_at`,
    [
      standings.map(({ user_id }) => user_id),
      standings.map(({ tier }) => tier),
      standings.map(({ score }) => score),
      standings.map(({ limit_percent }) => limit_percent),
      standings.map(({ reviewed_at }) => reviewed_at),
      standings.map(({ changed_at }) => changed_at),
    ],
  );
}

export async function insertDecision(tx: Queryable, decision: Omit<DecisionRow, "id" | "created_at">): Promise<void> {
  const { user_id, from_tier, to_tier, score, reasons, facts, rules_version } = decision;
  await tx.query(
    "INSERT INTO tier_decisions (user_id, from_tier, to_tier, score, reasons, facts, rules_version) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    [user_id, from_tier, to_tier, score, JSON.stringify(reasons), JSON.stringify(facts), rules_version],
  );
}

/** A user's decisions, newest first. */
export async function listDecisions(
  db: Queryable,
  userId: string,
  page: { limit: number; offset: number },
): Promise<{ items: DecisionRow[]; total: number }> {
  const { rows } = await db.query<DecisionRow>("SELECT * FROM tier_decisions WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3", [
    userId,
    page.limit,
    page.offset,
  ]);
  const count = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM tier_decisions WHERE user_id = $1", [userId]);
  return { items: rows, total: Number(count.rows[0]!.total) };
}
