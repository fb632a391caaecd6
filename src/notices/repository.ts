import type { Queryable } from "../platform/postgres.ts";

/** Settings of one person. The secret is sealed. */
export interface SettingsRow {
  user_id: string;
  wallet_id: bigint;
  email: boolean;
  webhook_url: string | null;
  webhook_secret: string | null;
  webhook_status: "active" | "disabled" | null;
  webhook_failures: number;
  updated_at: Date;
}

export interface WatchRow {
  threshold: bigint;
  armed: boolean;
  turned_at: Date;
}

/** A crossing that was not told yet, with whom to tell. */
export interface WaitingNotice {
  id: string;
  user_id: string;
  threshold: bigint;
  balance: bigint;
  crossed_at: Date;
  email: boolean;
  webhook: boolean;
}

const COLUMNS = "user_id, wallet_id, email, webhook_url, webhook_secret, webhook_status, webhook_failures, updated_at";

export async function findSettings(db: Queryable, userId: string): Promise<SettingsRow | undefined> {
  const { rows } = await db.query<SettingsRow>(`SELECT ${COLUMNS} FROM notice_settings WHERE user_id = $1`, [userId]);
  return rows[0];
}

/** Somebody's settings, made when there are none, locked until the transaction ends. */
export async function lockSettings(tx: Queryable, userId: string, walletId: bigint): Promise<SettingsRow> {
  await tx.query("INSERT INTO notice_settings (user_id, wallet_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", [userId, walletId]);
  const { rows } = await tx.query<SettingsRow>(`SELECT ${COLUMNS} FROM notice_settings WHERE user_id = $1 FOR UPDATE`, [userId]);
  return rows[0]!;
}

export async function writeSettings(tx: Queryable, row: SettingsRow): Promise<void> {
  await tx.query(
    `UPDATE notice_settings SET email = $2, webhook_url = $3, webhook_secret = $4, webhook_status = $5, webhook_failures = $6,
       webhook_told = true, updated_at = now() WHERE user_id = $1`,
    [row.user_id, row.email, row.webhook_url, row.webhook_secret, row.webhook_status, row.webhook_failures],
  );
}

/** The thresholds of a wallet, the highest first. */
export async function findWatches(db: Queryable, walletId: bigint): Promise<WatchRow[]> {
  const { rows } = await db.query<WatchRow>(
    "SELECT threshold, armed, turned_at FROM balance_watches WHERE wallet_id = $1 ORDER BY threshold DESC",
    [walletId],
  );
  return rows;
}

/** Watches these thresholds and no others; see the function in the migration. */
export async function watch(tx: Queryable, walletId: bigint, thresholds: readonly bigint[]): Promise<void> {
  await tx.query("SELECT balance_watch_thresholds($1, $2::bigint[])", [walletId, thresholds]);
}

/**
 * Locks the crossing that was tried least of those that wait to be told, the oldest first. Those that another worker is telling are passed
 * over, and those that failed now (by their ids).
 */
export async function takeNotice(tx: Queryable, failed: readonly string[]): Promise<WaitingNotice | undefined> {
  const { rows } = await tx.query<WaitingNotice>(
    `SELECT n.id, s.user_id, n.threshold, n.balance, n.crossed_at, s.email, s.webhook_status = 'active' AS webhook
     FROM balance_notices n JOIN notice_settings s ON s.wallet_id = n.wallet_id
     WHERE n.told_at IS NULL AND n.id <> ALL ($1) ORDER BY n.attempts, n.crossed_at, n.threshold DESC LIMIT 1 FOR UPDATE OF n SKIP LOCKED`,
    [failed],
  );
  return rows[0];
}

/** Counts a crossing that could not be told. */
export async function countNotice(db: Queryable, id: string): Promise<void> {
  await db.query("UPDATE balance_notices SET attempts = attempts + 1 WHERE id = $1", [id]);
}

export async function markTold(tx: Queryable, noticeId: string): Promise<void> {
  await tx.query("UPDATE balance_notices SET told_at = now() WHERE id = $1", [noticeId]);
}

/** Locks one person whose webhook was disabled and who was not told yet, likewise. */
export async function takeUntold(tx: Queryable, failed: readonly string[]): Promise<SettingsRow | undefined> {
  const { rows } = await tx.query<SettingsRow>(
    `SELECT ${COLUMNS} FROM notice_settings WHERE NOT webhook_told AND user_id <> ALL ($1)
     ORDER BY webhook_told_attempts, user_id LIMIT 1 FOR UPDATE SKIP LOCKED`,
    [failed],
  );
  return rows[0];
}

/** Counts a person who could not be told. */
export async function countUntold(db: Queryable, userId: string): Promise<void> {
  await db.query("UPDATE notice_settings SET webhook_told_attempts = webhook_told_attempts + 1 WHERE user_id = $1", [userId]);
}

export async function markUntoldAsTold(tx: Queryable, userId: string): Promise<void> {
  await tx.query("UPDATE notice_settings SET webhook_told = true, webhook_told_attempts = 0 WHERE user_id = $1", [userId]);
}

/** Forgets crossings and deliveries that are over and older than `days`. */
export async function forgetOld(db: Queryable, days: number, limit: number): Promise<number> {
  const age = "now() - make_interval(days => $1)";
  const told = await db.query(
    `DELETE FROM balance_notices WHERE id IN (SELECT id FROM balance_notices WHERE crossed_at < ${age} AND told_at IS NOT NULL LIMIT $2)`,
    [days, limit],
  );
  const sent = await db.query(
    `DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE created_at < ${age} AND state <> 'pending' LIMIT $2)`,
    [days, limit],
  );
  return (told.rowCount ?? 0) + (sent.rowCount ?? 0);
}
