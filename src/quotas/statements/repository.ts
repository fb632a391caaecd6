import type { Queryable } from "../../platform/postgres.ts";
import type { Sums } from "./statement.ts";

export interface DuePeriod {
  user_id: string;
  wallet_id: bigint;
  starts_at: Date;
  ends_at: Date;
  plan: string;
}

export interface StatementRow {
  id: bigint;
  user_id: string;
  wallet_id: bigint;
  starts_at: Date;
  ends_at: Date;
  plan: string;
  opening: bigint;
  credits: bigint;
  consumption: bigint;
  expiry: bigint;
  other: bigint;
  closing: bigint;
  credits_by_source: { type: string; source: string; amount: string }[];
  consumption_by_model: { model: string | null; requests: string; failed: string; tokens: string; cost: string }[];
  other_by_type: { type: string; amount: string }[];
  last_seq: bigint;
  later: Record<string, string>;
  created_at: Date;
}

export type NewStatement = Omit<StatementRow, "id" | "created_at">;

const COLUMNS = `user_id, wallet_id, starts_at, ends_at, plan, opening, credits, consumption, expiry, other, closing, credits_by_source,
  consumption_by_model, other_by_type, last_seq, later`;

/** Takes periods whose statement is due, the oldest first and one of each user; those that somebody else has are passed over. */
export async function takeUnstated(tx: Queryable, now: Date, limit: number): Promise<DuePeriod[]> {
  const { rows } = await tx.query<DuePeriod>(
    `SELECT p.user_id, p.wallet_id, p.starts_at, p.ends_at, p.plan FROM subscription_periods p
     WHERE p.stated_at IS NULL AND p.statement_due_at <= $1
       AND NOT EXISTS (SELECT FROM subscription_periods o WHERE o.user_id = p.user_id AND o.stated_at IS NULL AND o.starts_at < p.starts_at)
     ORDER BY p.statement_due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED`,
    [now, limit],
  );
  return rows;
}

/** Looks at periods again later. */
export async function putOff(tx: Queryable, periods: readonly DuePeriod[], until: Date): Promise<void> {
  await tx.query(
    `UPDATE subscription_periods p SET statement_due_at = $3 FROM unnest($1::uuid[], $2::timestamptz[]) AS q (user_id, starts_at)
     WHERE p.user_id = q.user_id AND p.starts_at = q.starts_at`,
    [periods.map(({ user_id }) => user_id), periods.map(({ starts_at }) => starts_at), until],
  );
}

/** The statement before each of the periods, by user. */
export async function statementsBefore(
  tx: Queryable,
  periods: readonly DuePeriod[],
): Promise<Map<string, { closing: bigint; lastSeq: bigint; later: Sums }>> {
  const { rows } = await tx.query<Pick<StatementRow, "user_id" | "closing" | "last_seq" | "later">>(
    `SELECT s.user_id, s.closing, s.last_seq, s.later FROM unnest($1::uuid[], $2::timestamptz[]) AS q (user_id, starts_at)
     CROSS JOIN LATERAL (SELECT * FROM statements WHERE user_id = q.user_id AND starts_at < q.starts_at ORDER BY starts_at DESC LIMIT 1) s`,
    [periods.map(({ user_id }) => user_id), periods.map(({ starts_at }) => starts_at)],
  );
  const sums = (later: Record<string, string>): Sums =>
    Object.fromEntries(Object.entries(later).map(([name, amount]) => [name, BigInt(amount)]));
  return new Map(rows.map((row) => [row.user_id, { closing: row.closing, lastSeq: row.last_seq, later: sums(row.later) }]));
}

/** Writes statements, each once, and notes that they are written. */
export async function insertStatements(tx: Queryable, statements: readonly NewStatement[]): Promise<void> {
  await tx.query(
    `INSERT INTO statements (${COLUMNS}) SELECT ${COLUMNS} FROM jsonb_to_recordset($1::jsonb) AS q (user_id uuid, wallet_id bigint,
       starts_at timestamptz, ends_at timestamptz, plan text, opening bigint, credits bigint, consumption bigint, expiry bigint, other bigint,
       closing bigint, credits_by_source jsonb, consumption_by_model jsonb, other_by_type jsonb, last_seq bigint, later jsonb)
     ON CONFLICT (user_id, starts_at) DO NOTHING`,
    [JSON.stringify(statements, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value))],
  );
  await tx.query(
    `UPDATE subscription_periods p SET stated_at = now() FROM unnest($1::uuid[], $2::timestamptz[]) AS q (user_id, starts_at)
     WHERE p.user_id = q.user_id AND p.starts_at = q.starts_at`,
    [statements.map(({ user_id }) => user_id), statements.map(({ starts_at }) => starts_at)],
  );
}

/** A user's statements, newest first. */
export async function listStatements(
  db: Queryable,
  userId: string,
  page: { limit: number; offset: number },
): Promise<{ items: StatementRow[]; total: number }> {
  const { rows } = await db.query<StatementRow>(
    `SELECT id, created_at, ${COLUMNS} FROM statements WHERE user_id = $1 ORDER BY starts_at DESC LIMIT $2 OFFSET $3`,
    [userId, page.limit, page.offset],
  );
  const count = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM statements WHERE user_id = $1", [userId]);
  return { items: rows, total: Number(count.rows[0]!.total) };
}

/** One of a user's statements; undefined also for somebody else's. */
export async function findStatement(db: Queryable, userId: string, id: bigint): Promise<StatementRow | undefined> {
  const { rows } = await db.query<StatementRow>(`SELECT id, created_at, ${COLUMNS} FROM statements WHERE user_id = $1 AND id = $2`, [
    userId,
    id,
  ]);
  return rows[0];
}
