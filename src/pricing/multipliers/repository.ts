import type { Queryable } from "../../platform/postgres.ts";
import type { MultiplierRule } from "./multiplier.ts";

export type RuleStatus = "active" | "inactive" | "removed";

/** What an operator sets. */
export interface RuleFields extends MultiplierRule {
  name: string;
  status: RuleStatus;
}

/** One version of a rule; never changes once written. */
export interface RuleVersion extends RuleFields {
  rule: string;
  version: number;
  authorId: string | null;
  reason: string | null;
  createdAt: Date;
}

interface Row {
  rule: string;
  version: number;
  name: string;
  multiplier: number;
  tier: string | null;
  key_group: string | null;
  model: string | null;
  time_zone: string | null;
  from_minute: number | null;
  to_minute: number | null;
  days: number[] | null;
  status: RuleStatus;
  author_id: string | null;
  reason: string | null;
  created_at: Date;
}

const COLUMNS = `rule, version, name, multiplier, tier, key_group, model, time_zone, from_minute, to_minute, days, status, author_id, reason,
  created_at`;
const IN_FORCE = `SELECT DISTINCT ON (rule) ${COLUMNS} FROM price_multipliers ORDER BY rule, version DESC`;

const versionOf = (row: Row): RuleVersion => ({
  rule: row.rule,
  version: row.version,
  name: row.name,
  multiplier: row.multiplier,
  tier: row.tier,
  keyGroup: row.key_group,
  model: row.model,
  window:
    row.time_zone === null ? null : { timeZone: row.time_zone, fromMinute: row.from_minute!, toMinute: row.to_minute!, days: row.days },
  status: row.status,
  authorId: row.author_id,
  reason: row.reason,
  createdAt: row.created_at,
});

/** Every rule that holds now. */
export async function activeRules(db: Queryable): Promise<RuleVersion[]> {
  const { rows } = await db.query<Row>(`SELECT * FROM (${IN_FORCE}) r WHERE status = 'active' ORDER BY rule`);
  return rows.map(versionOf);
}

/** A page of rules as they stand, those removed left out, the newest first. */
export async function listRules(db: Queryable, page: { limit: number; offset: number }): Promise<{ items: RuleVersion[]; total: number }> {
  const present = `FROM (${IN_FORCE}) r WHERE status <> 'removed'`;
  const total = await db.query<{ total: bigint }>(`SELECT count(*) AS total ${present}`);
  const { rows } = await db.query<Row>(`SELECT * ${present} ORDER BY rule DESC LIMIT $1 OFFSET $2`, [page.limit, page.offset]);
  return { items: rows.map(versionOf), total: Number(total.rows[0]?.total ?? 0n) };
}

/** The newest version of a rule, also a removed one. */
export async function findRule(db: Queryable, rule: string): Promise<RuleVersion | undefined> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM price_multipliers WHERE rule = $1 ORDER BY version DESC LIMIT 1`, [rule]);
  return rows[0] && versionOf(rows[0]);
}

/** A page of a rule's versions, the newest first. */
export async function ruleHistory(
  db: Queryable,
  rule: string,
  page: { limit: number; offset: number },
): Promise<{ items: RuleVersion[]; total: number }> {
  const total = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM price_multipliers WHERE rule = $1", [rule]);
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM price_multipliers WHERE rule = $1 ORDER BY version DESC LIMIT $2 OFFSET $3`,
    [rule, page.limit, page.offset],
  );
  return { items: rows.map(versionOf), total: Number(total.rows[0]?.total ?? 0n) };
}

/** Writes one version. Two at once of one rule run into its unique number. */
export async function insertRule(
  tx: Queryable,
  rule: string,
  version: number,
  fields: RuleFields,
  by: { authorId: string | null; reason: string | null },
): Promise<RuleVersion> {
  const { window } = fields;
  const { rows } = await tx.query<Row>(
    `INSERT INTO price_multipliers (rule, version, name, multiplier, tier, key_group, model, time_zone, from_minute, to_minute, days, status,
       author_id, reason)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING ${COLUMNS}`,
    [
      rule,
      version,
      fields.name,
      fields.multiplier,
      fields.tier,
      fields.keyGroup,
      fields.model,
      window?.timeZone ?? null,
      window?.fromMinute ?? null,
      window?.toMinute ?? null,
      window?.days ?? null,
      fields.status,
      by.authorId,
      by.reason,
    ],
  );
  return versionOf(rows[0]!);
}
