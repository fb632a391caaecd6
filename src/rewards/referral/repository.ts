import type { Queryable } from "../../platform/postgres.ts";
import type { Signal } from "./rules.ts";

export const REFERRAL_STATUSES = ["pending", "held", "due", "paid", "refused", "reversed"] as const;
export type ReferralStatus = (typeof REFERRAL_STATUSES)[number];

/** A referral as the database holds it. Amounts in micro-credits. */
export interface ReferralRow {
  id: string;
  referrer_id: string;
  referred_id: string;
  code: string;
  status: ReferralStatus;
  reason: string | null;
  signals: Signal[];
  network: string | null;
  order_no: string | null;
  referrer_reward: bigint;
  referred_reward: bigint;
  expires_days: number;
  /** What must be left of its top-up, as was asked for when it was decided. */
  min_topup: bigint;
  capped: boolean;
  /** How often it was tried to pay it later. */
  attempts: number;
  created_at: Date;
  qualified_at: Date | null;
  paid_at: Date | null;
  reviewed_by: string | null;
  review_reason: string | null;
  /** When its top-up was given back, if it was. */
  topup_refunded_at: Date | null;
}

const SELECT = `SELECT r.*, t.refunded_at AS topup_refunded_at FROM referrals r LEFT JOIN reward_topups t ON t.order_no = r.order_no`;

export async function ownerOfCode(db: Queryable, code: string): Promise<string | undefined> {
  const { rows } = await db.query<{ user_id: string }>("SELECT user_id FROM referral_codes WHERE code = $1", [code.toUpperCase()]);
  return rows[0]?.user_id;
}

/** The person's code; `fresh` becomes it when there is none. Undefined when somebody else has `fresh`. */
export async function codeOf(db: Queryable, userId: string, fresh: string): Promise<string | undefined> {
  await db.query("INSERT INTO referral_codes (user_id, code) VALUES ($1, $2) ON CONFLICT DO NOTHING", [userId, fresh]);
  return findCode(db, userId);
}

export async function findCode(db: Queryable, userId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ code: string }>("SELECT code FROM referral_codes WHERE user_id = $1", [userId]);
  return rows[0]?.code;
}

export async function insertReferral(
  tx: Queryable,
  row: Pick<ReferralRow, "id" | "referrer_id" | "referred_id" | "code" | "status" | "reason" | "signals" | "network">,
): Promise<void> {
  await tx.query(
    `INSERT INTO referrals (id, referrer_id, referred_id, code, status, reason, signals, network) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (referred_id) DO NOTHING`,
    [row.id, row.referrer_id, row.referred_id, row.code, row.status, row.reason, row.signals, row.network],
  );
}

/** Forgets a referral that nothing has come of yet. */
export async function deletePending(tx: Queryable, referredId: string): Promise<void> {
  await tx.query("DELETE FROM referrals WHERE referred_id = $1 AND order_no IS NULL", [referredId]);
}

/** Whether another person that this one referred lately registered from there. */
export async function networkSeen(db: Queryable, referrerId: string, network: string, since: Date): Promise<boolean> {
  const { rowCount } = await db.query("SELECT FROM referrals WHERE referrer_id = $1 AND network = $2 AND created_at >= $3 LIMIT 1", [
    referrerId,
    network,
    since,
  ]);
  return rowCount === 1;
}

export async function findReferral(db: Queryable, id: string): Promise<ReferralRow | undefined> {
  const { rows } = await db.query<ReferralRow>(`${SELECT} WHERE r.id = $1`, [id]);
  return rows[0];
}

/** The same, locked. */
export async function lockReferral(tx: Queryable, id: string): Promise<ReferralRow | undefined> {
  const { rows } = await tx.query<ReferralRow>(`${SELECT} WHERE r.id = $1 FOR UPDATE OF r`, [id]);
  return rows[0];
}

/** The referral that a top-up decided, locked. */
export async function lockReferralOf(tx: Queryable, orderNo: string): Promise<ReferralRow | undefined> {
  const { rows } = await tx.query<ReferralRow>(`${SELECT} WHERE r.order_no = $1 FOR UPDATE OF r`, [orderNo]);
  return rows[0];
}

/** The referral of somebody who has not topped up yet. */
export async function findPending(db: Queryable, referredId: string): Promise<ReferralRow | undefined> {
  const { rows } = await db.query<ReferralRow>(`${SELECT} WHERE r.referred_id = $1 AND r.status = 'pending'`, [referredId]);
  return rows[0];
}

/** Writes what became of a referral. */
export async function saveReferral(tx: Queryable, row: ReferralRow): Promise<void> {
  await tx.query(
    `UPDATE referrals SET status = $2, reason = $3, signals = $4, order_no = $5, referrer_reward = $6, referred_reward = $7,
       expires_days = $8, min_topup = $9, capped = $10, qualified_at = $11, paid_at = $12, reviewed_by = $13, review_reason = $14 WHERE id = $1`,
    [
      row.id,
      row.status,
      row.reason,
      row.signals,
      row.order_no,
      row.referrer_reward,
      row.referred_reward,
      row.expires_days,
      row.min_topup,
      row.capped,
      row.qualified_at,
      row.paid_at,
      row.reviewed_by,
      row.review_reason,
    ],
  );
}

/** Takes one of a referrer's rewarded referrals of the month. False when they are used up. `month` is its first day. */
export async function takeOfMonth(tx: Queryable, referrerId: string, month: string, cap: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    `INSERT INTO referral_months (referrer_id, month, rewarded) VALUES ($1, $2, 1)
     ON CONFLICT (referrer_id, month) DO UPDATE SET rewarded = referral_months.rewarded + 1 WHERE referral_months.rewarded < $3`,
    [referrerId, month, cap],
  );
  return rowCount === 1;
}

/** Referrals to be paid: those tried least first. */
export async function dueReferrals(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>("SELECT id FROM referrals WHERE status = 'due' ORDER BY attempts, created_at LIMIT $1", [
    limit,
  ]);
  return rows.map((row) => row.id);
}

/** Counts that one is being tried, so that those that always fail hold up no other. */
export async function countPayTry(db: Queryable, id: string): Promise<void> {
  await db.query("UPDATE referrals SET attempts = attempts + 1 WHERE id = $1", [id]);
}

/** Newest first. */
export async function listReferrals(
  db: Queryable,
  filter: {
    referrerId?: string | undefined;
    referredId?: string | undefined;
    status?: ReferralStatus | undefined;
    page: number;
    page_size: number;
  },
): Promise<{ items: ReferralRow[]; total: number }> {
  const where =
    "WHERE ($1::uuid IS NULL OR r.referrer_id = $1) AND ($2::uuid IS NULL OR r.referred_id = $2) AND ($3::text IS NULL OR r.status = $3)";
  const values = [filter.referrerId ?? null, filter.referredId ?? null, filter.status ?? null];
  const total = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM referrals r ${where}`, values);
  const { rows } = await db.query<ReferralRow>(`${SELECT} ${where} ORDER BY r.created_at DESC, r.id DESC LIMIT $4 OFFSET $5`, [
    ...values,
    filter.page_size,
    (filter.page - 1) * filter.page_size,
  ]);
  return { items: rows, total: Number(total.rows[0]!.total) };
}

/** How many referrals of a person there are by status, and what they have earned him. */
export async function countReferrals(db: Queryable, referrerId: string): Promise<{ counts: Map<ReferralStatus, number>; earned: bigint }> {
  const { rows } = await db.query<{ status: ReferralStatus; count: bigint; earned: string }>(
    `SELECT status, count(*) AS count, coalesce(sum(referrer_reward) FILTER (WHERE status = 'paid' AND NOT capped), 0)::text AS earned
     FROM referrals WHERE referrer_id = $1 GROUP BY status`,
    [referrerId],
  );
  return {
    counts: new Map(rows.map((row) => [row.status, Number(row.count)])),
    earned: rows.reduce((sum, row) => sum + BigInt(row.earned), 0n),
  };
}
