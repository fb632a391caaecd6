import type { Queryable } from "../../platform/postgres.ts";
import type { CampaignRow, Due } from "./rules.ts";

/** What an operator decides about a campaign. */
export type CampaignFields = Omit<CampaignRow, "id" | "paid" | "claims" | "created_at" | "updated_at">;

/** A reward that somebody got from a campaign. */
export interface ClaimRow {
  campaign_id: string;
  user_id: string;
  no: number;
  amount: bigint;
  balance_after: bigint;
  /** The top-up that it is paid for, when nobody claimed it. */
  order_no: string | null;
  created_at: Date;
}

/** What only this domain looks at in a claim. */
interface ClaimGrounds {
  request_key: string | null;
  /** The top-up without which it would have been refused. */
  topup_no: string | null;
  /** What must be left of that top-up, or of the one that it is paid for; micro-credits. */
  min_topup: bigint;
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

/** The same, locked: its budget and claims stand still. Top-ups may note meanwhile what it owes them. */
export async function lockCampaign(tx: Queryable, id: string): Promise<CampaignRow | undefined> {
  const { rows } = await tx.query<CampaignRow>("SELECT * FROM campaigns WHERE id = $1 FOR NO KEY UPDATE", [id]);
  return rows[0];
}

export async function findByCode(db: Queryable, code: string): Promise<CampaignRow | undefined> {
  const { rows } = await db.query<CampaignRow>("SELECT * FROM campaigns WHERE upper(code) = upper($1)", [code]);
  return rows[0];
}

/** Campaigns that anybody could get something of at a moment, by when they end. */
export async function listedCampaigns(db: Queryable, at: Date): Promise<CampaignRow[]> {
  const { rows } = await db.query<CampaignRow>(
    "SELECT * FROM campaigns WHERE listed AND status = 'active' AND starts_at <= $1 AND ends_at > $1 ORDER BY ends_at, id",
    [at],
  );
  return rows;
}

/** What is left of the budgets of campaigns that run, in credits. */
export async function campaignBudgets(db: Queryable, at: Date): Promise<{ code: string; left: number }[]> {
  const { rows } = await db.query<{ code: string; left: number }>(
    `SELECT code, (budget - paid)::float8 / 1000000 AS left FROM campaigns
     WHERE status = 'active' AND starts_at <= $1 AND ends_at > $1 AND paid + reward <= budget ORDER BY code`,
    [at],
  );
  return rows;
}

/** Notes what the campaigns that run now owe a top-up, in the transaction that credits it. */
export async function noteDues(tx: Queryable, orderNo: string): Promise<void> {
  await tx.query(
    `INSERT INTO campaign_dues (order_no, campaign_id, min_topup, reward, most_per_user, new_within_days, tiers, expires_days)
     SELECT t.order_no, c.id, coalesce(c.min_topup, 0), c.reward, c.most_per_user, c.new_within_days, c.tiers, c.expires_days
     FROM reward_topups t JOIN campaigns c ON c.trigger = 'topup' AND c.status = 'active' AND c.starts_at <= t.completed_at
       AND c.ends_at > t.completed_at AND coalesce(c.min_topup, 0) <= t.credits
     WHERE t.order_no = $1`,
    [orderNo],
  );
}

/** What is owed to a top-up and not decided yet. */
export async function duesOf(db: Queryable, orderNo: string): Promise<Due[]> {
  const { rows } = await db.query<Due>("SELECT * FROM campaign_dues WHERE order_no = $1 ORDER BY campaign_id", [orderNo]);
  return rows;
}

/** Takes something owed that is being decided. False when somebody else has decided it. */
export async function takeDue(tx: Queryable, due: Due): Promise<boolean> {
  const { rowCount } = await tx.query("DELETE FROM campaign_dues WHERE order_no = $1 AND campaign_id = $2", [
    due.order_no,
    due.campaign_id,
  ]);
  return rowCount === 1;
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

/** Removes a campaign that has paid nothing and owes nothing. False when it has or does. */
export async function deleteCampaign(tx: Queryable, id: string): Promise<boolean> {
  // Waits for top-ups that note what it owes them, so that the next statement sees it.
  await tx.query("SELECT FROM campaigns WHERE id = $1 FOR UPDATE", [id]);
  const { rowCount } = await tx.query(
    "DELETE FROM campaigns WHERE id = $1 AND claims = 0 AND NOT EXISTS (SELECT FROM campaign_dues WHERE campaign_id = $1)",
    [id],
  );
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

/** The same for a reward that was earned while the campaign ran, whatever it does now. False when the budget does not cover it. */
export async function takeEarned(tx: Queryable, id: string, reward: bigint): Promise<boolean> {
  const { rowCount } = await tx.query("UPDATE campaigns SET paid = paid + $2, claims = claims + 1 WHERE id = $1 AND paid + $2 <= budget", [
    id,
    reward,
  ]);
  return rowCount === 1;
}

export async function countClaims(db: Queryable, campaignId: string, userId: string): Promise<number> {
  const { rows } = await db.query<{ count: bigint }>(
    "SELECT count(*) AS count FROM campaign_claims WHERE campaign_id = $1 AND user_id = $2",
    [campaignId, userId],
  );
  return Number(rows[0]!.count);
}

/** The claim that the same request has made before. */
export async function findClaim(
  db: Queryable,
  by: { campaignId: string; userId: string; requestKey: string | null },
): Promise<ClaimRow | undefined> {
  const { rows } = await db.query<ClaimRow>(
    `SELECT ${CLAIM} FROM campaign_claims WHERE campaign_id = $1 AND user_id = $2 AND request_key = $3`,
    [by.campaignId, by.userId, by.requestKey],
  );
  return rows[0];
}

/** Writes a claim that is about to be paid: its balance comes with the payment. */
export async function insertClaim(tx: Queryable, claim: Omit<ClaimRow, "balance_after"> & ClaimGrounds): Promise<void> {
  await tx.query(
    `INSERT INTO campaign_claims (${CLAIM}, request_key, topup_no, min_topup) VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9)`,
    [
      claim.campaign_id,
      claim.user_id,
      claim.no,
      claim.amount,
      claim.order_no,
      claim.created_at,
      claim.request_key,
      claim.topup_no,
      claim.min_topup,
    ],
  );
}

/** A claim whose top-up was refunded. */
export interface UngroundedClaim {
  campaign_id: string;
  user_id: string;
  no: number;
  /** It was paid for that very top-up; else it only needed one like it. */
  for_topup: boolean;
  /** What was asked for when it was earned. */
  min_topup: bigint;
  starts_at: Date;
  ends_at: Date;
}

/** The claims that a top-up led to. */
export async function claimsOfTopUp(tx: Queryable, orderNo: string): Promise<UngroundedClaim[]> {
  const { rows } = await tx.query<UngroundedClaim>(
    `SELECT l.campaign_id, l.user_id, l.no, l.topup_no IS NULL AS for_topup, l.min_topup, c.starts_at, c.ends_at
     FROM campaign_claims l JOIN campaigns c ON c.id = l.campaign_id WHERE l.order_no = $1 OR l.topup_no = $1 ORDER BY 1, 2, 3`,
    [orderNo],
  );
  return rows;
}

/** Lets a claim rest on another top-up. */
export async function regroundClaim(tx: Queryable, claim: UngroundedClaim, orderNo: string): Promise<void> {
  await tx.query("UPDATE campaign_claims SET topup_no = $4 WHERE campaign_id = $1 AND user_id = $2 AND no = $3", [
    claim.campaign_id,
    claim.user_id,
    claim.no,
    orderNo,
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
