import type { Queryable } from "../../platform/postgres.ts";

/** A key that somebody has set; `value` is JSON. */
export interface StoredSetting {
  key: string;
  value: unknown;
  version: bigint;
  updated_at: Date;
}

/** One key's part of a change. null is the default. */
export interface SettingChange {
  version: bigint;
  key: string;
  value: unknown;
  previous: unknown;
  author_id: string;
  reason: string;
  created_at: Date;
}

/** Any number: changes go one after the other, so that each sees the version before it. */
const CHANGES_LOCK = 7_266_024;

export async function lockSettings(tx: Queryable): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock($1)", [CHANGES_LOCK]);
}

export async function storedSettings(db: Queryable): Promise<{ version: bigint; stored: StoredSetting[] }> {
  // One statement, so that version and values are of one moment.
  const { rows } = await db.query<Partial<StoredSetting> & { present: bigint }>(
    `SELECT head.present, s.key, s.value, s.version, s.updated_at
     FROM (SELECT coalesce(max(version), 0) AS present FROM settings_history) head LEFT JOIN settings s ON true`,
  );
  return { version: rows[0]?.present ?? 0n, stored: rows.filter((row): row is StoredSetting & { present: bigint } => row.key !== null) };
}

/** Sets a key, or takes it back to its default (null), and keeps what was before. */
export async function storeSetting(tx: Queryable, change: Omit<SettingChange, "created_at">): Promise<void> {
  const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
  if (change.value === null) await tx.query("DELETE FROM settings WHERE key = $1", [change.key]);
  else
    await tx.query(
      `INSERT INTO settings (key, value, version) VALUES ($1, $2, $3)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version, updated_at = now()`,
      [change.key, json(change.value), change.version],
    );
  await tx.query("INSERT INTO settings_history (version, key, value, previous, author_id, reason) VALUES ($1, $2, $3, $4, $5, $6)", [
    change.version,
    change.key,
    json(change.value),
    json(change.previous),
    change.author_id,
    change.reason,
  ]);
}

/** Changes, newest first. */
export async function listChanges(
  db: Queryable,
  filter: { key: string | undefined; limit: number; offset: number },
): Promise<{ items: SettingChange[]; total: number }> {
  const where = "WHERE ($1::text IS NULL OR key = $1)";
  const total = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM settings_history ${where}`, [filter.key ?? null]);
  const { rows } = await db.query<SettingChange>(
    `SELECT version, key, value, previous, author_id, reason, created_at FROM settings_history ${where}
     ORDER BY version DESC, key LIMIT $2 OFFSET $3`,
    [filter.key ?? null, filter.limit, filter.offset],
  );
  return { items: rows, total: Number(total.rows[0]?.total ?? 0n) };
}
