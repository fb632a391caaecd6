import type { Queryable } from "../../platform/postgres.ts";
import type { CampaignRow } from "./rules.ts";

/** What an operator decides about a campaign. */
export type CampaignFields = Omit<CampaignRow, "id" | "paid" | "claims" | "created_at" | "updated_at">;

/** A reward that somebody got from a campaign. */
export interface ClaimRow {
  campaign_id: string;
  user_id: string;
  no: number;
  amount: bigint;
  balance_after: bigint;
  order_no: string | null;
  created_at: Date;
}

const FIELDS = [
  "code",
  "name",
  "description",
  "trigger",
  "status",
  "listed",
  "starts_at",
  "ends_at",
  "reward",
  "budget",
  "most_per_user",
  "new_within_days",
  "min_topup",
  "tiers",
  "expires_days",
] as const satisfies (keyof CampaignFields)[];

const CLAIM = "campaign_id, user_id, no, amount, balance_after, order_no, created_at";

export async function insertCampaign(tx: Queryable, id: string, fields: CampaignFields): Promise<CampaignRow> {
  const { rows } = await tx.query<CampaignRow>(
    `INSERT INTO campaigns (id, ${FIELDS.join(", ")}) VALUES ($1, ${FIELDS.map((_, index) => `$${index + 2}`).join(", ")}) RETURNING *`,
    [id, ...FIELDS.map((name) => fields[name])],
  );
  return rows[0]!;
}

export async function updateCampaign(tx: Queryable, id: string, fields: CampaignFields): Promise<CampaignRow> {
  const { rows } = await tx.query<CampaignRow>(
    `UPDATE campaigns SET ${FIELDS.map((name, index) => `${name} = $${index + 2}`).join(", ")}, updated_at = now() WHERE id = $1 RETURNING *`,
    [id, ...FIELDS.map((name) => fields[name])],
  );
  return rows[0]!;
}

export async function findCampaign(db: Queryable, id: string): Promise<CampaignRow | undefined> {
  const { rows } = await db.query<CampaignRow>("SELECT * FROM campaigns WHERE id = $1", [id]);
  return rows[0];
}

/** The same, locked: its budget and claims stand still. */
export async function lockCampaign(tx: Queryable, id: string): Promise<CampaignRow | undefined> {
  const { rows } = await tx.query<CampaignRow>("SELECT * FROM campaigns WHERE id = $1 FOR UPDATE", [id]);
  return rows[0];
}

export async function findByCode(db: Queryable, code: string): Promise<CampaignRow | undefined> {
  const { rows } = await db.query<CampaignRow>("SELECT * FROM campaigns WHERE upper(code) = upper($1)", [code]);
  return rows[0];
}

/** Campaigns that anybody could get something of at a moment, by when they end. */
export async function runningCampaigns(
  db: Queryable,
  at: Date,
  only: { trigger?: CampaignRow["trigger"]; listed?: boolean },
): Promise<CampaignRow[]> {
  const { rows } = await db.query<CampaignRow>(
    `SELECT * FROM campaigns WHERE status = 'active' AND starts_at <= $1 AND ends_at > $1
       AND ($2::text IS NULL OR trigger = $2) AND ($3::boolean IS NULL OR listed = $3) ORDER BY ends_at, id`,
    [at, only.trigger ?? null, only.listed ?? null],
  );
  return rows;
}

/** Newest first. */
export async function listCampaigns(
  db: Queryable,
  page: { page: number; page_size: number },
): Promise<{ items: CampaignRow[]; total: number }> {
  const total = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM campaigns");
  const { rows } = await db.query<CampaignRow>("SELECT * FROM campaigns ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2", [
    page.page_size,
    (page.page - 1) * page.page_size,
  ]);
  return { items: rows, total: Number(total.rows[0]!.total) };
}

/** Removes a campaign that has paid nothing. False when it has. */
export async function deleteCampaign(tx: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await tx.query("DELETE FROM campaigns WHERE id = $1 AND claims = 0", [id]);
  return rowCount === 1;
}

/**
 * Takes one reward out of the budget, if the campaign runs and its budget covers it: the row stays locked until the transaction ends, so
 * that no number of takers can overdraw it. Undefined when nothing was taken.
 */
export async function takeFromBudget(tx: Queryable, id: string, at: Date): Promise<CampaignRow | undefined> {
  const { rows } = await tx.query<CampaignRow>(
    `UPDATE campaigns SET paid = paid + reward, claims = claims + 1
     WHERE id = $1 AND status = 'active' AND starts_at <= $2 AND ends_at > $2 AND paid + reward <= budget RETURNING *`,
    [id, at],
  );
  return rows[0];
}

export async function countClaims(db: Queryable, campaignId: string, userId: string): Promise<number> {
  const { rows } = await db.query<{ count: bigint }>(
    "SELECT count(*) AS count FROM campaign_claims WHERE campaign_id = $1 AND user_id = $2",
    [campaignId, userId],
  );
  return Number(rows[0]!.count);
}

/** The claim that the same request or the same top-up has made before. */
export async function findClaim(
  db: Queryable,
  by: { campaignId: string; userId: string; requestKey: string | null; orderNo: string | null },
): Promise<ClaimRow | undefined> {
  const { rows } = await db.query<ClaimRow>(
    `SELECT ${CLAIM} FROM campaign_claims WHERE campaign_id = $1 AND user_id = $2 AND (request_key = $3 OR order_no = $4)`,
    [by.campaignId, by.userId, by.requestKey, by.orderNo],
  );
  return rows[0];
}

export async function insertClaim(tx: Queryable, claim: ClaimRow & { request_key: string | null }): Promise<void> {
  await tx.query(`INSERT INTO campaign_claims (${CLAIM}, request_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, [
    claim.campaign_id,
    claim.user_id,
    claim.no,
    claim.amount,
    claim.balance_after,
    claim.order_no,
    claim.created_at,
    claim.request_key,
  ]);
}

/** Claims of a campaign, newest first. */
export async function listClaims(
  db: Queryable,
  campaignId: string,
  page: { page: number; page_size: number },
): Promise<{ items: ClaimRow[]; total: number }> {
  const total = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM campaign_claims WHERE campaign_id = $1", [campaignId]);
  const { rows } = await db.query<ClaimRow>(
    `SELECT ${CLAIM} FROM campaign_claims WHERE campaign_id = $1 ORDER BY created_at DESC, user_id, no DESC LIMIT $2 OFFSET $3`,
    [campaignId, page.page_size, (page.page - 1) * page.page_size],
  );
  return { items: rows, total: Number(total.rows[0]!.total) };
}
