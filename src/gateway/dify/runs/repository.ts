import type { Pool, Queryable } from "../../../platform/postgres.ts";
import type { HeldRun, OwedRun } from "../../../usage/index.ts";

/**
 * - `paused`: a person's word is waited for
 * - `followed`: a call reads on
 * - `left`: it may go on, and no call reads it any more
 */
export type RunState = "paused" | "followed" | "left";

/** A run that an account pays for to its end. */
export interface OpenRun extends Omit<OwedRun, "holdId"> {
  /** The `user` that Dify was told. */
  owner: string;
  task: string | null;
  /** It makes a message, whose stop route is another one. */
  ofMessage: boolean;
}

/** The same as it is kept. */
export interface RunRow extends OpenRun {
  state: RunState;
  /** The call, and its hold. */
  callId: string | null;
  /** Of the state. */
  since: Date;
  /** How often Dify was asked in vain. */
  tries: number;
}

/** What names a run. */
export type RunName = Pick<OpenRun, "owner" | "run">;

const COLUMNS = `owner, run, charge, task, of_message AS "ofMessage", user_id AS "userId", wallet_id AS "walletId", key_id AS "keyId",
  token_id AS "tokenId", model, provider_id AS "providerId", provider_name AS "providerName", price_version_id AS "priceVersionId",
  price_multiplier AS "priceMultiplier", quota_weight AS "quotaWeight", began_by AS "beganBy", began_at AS "beganAt", state, call_id AS "callId", since, tries`;

/** Milliseconds from now, by the database's clock. */
const IN = (place: string): string => `clock_timestamp() + ${place}::float8 * interval '1 millisecond'`;

/** A run that a call has recorded a part of waits for a person, or may go on. Another call that follows it by now keeps it. */
export async function upsertOpen(
  db: Queryable,
  run: OpenRun,
  { state, callId, lookMs }: { state: "paused" | "left"; callId: string; lookMs: number },
): Promise<void> {
  await db.query(
    `INSERT INTO dify_runs AS r (owner, run, charge, task, of_message, user_id, wallet_id, key_id, token_id, model, provider_id, provider_name,
       price_version_id, price_multiplier, quota_weight, state, next_at, began_by, began_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $18, ${IN("$17")}, $19, $20)
     ON CONFLICT (owner, run) DO UPDATE SET charge = excluded.charge, task = excluded.task, of_message = excluded.of_message,
       state = excluded.state, call_id = NULL, since = clock_timestamp(), next_at = excluded.next_at, tries = 0
     WHERE r.call_id IS NULL OR r.call_id = $16`,
    [
      run.owner,
      run.run,
      run.charge,
      run.task,
      run.ofMessage,
      run.userId,
      run.walletId,
      run.keyId,
      run.tokenId,
      run.model,
      run.providerId,
      run.providerName,
      run.priceVersionId,
      run.priceMultiplier,
      run.quotaWeight,
      callId,
      lookMs,
      state,
      run.beganBy,
      run.beganAt,
    ],
  );
}

export async function findRun(db: Queryable, { owner, run }: RunName): Promise<RunRow | undefined> {
  const { rows } = await db.query<RunRow>(`SELECT ${COLUMNS} FROM dify_runs WHERE owner = $1 AND run = $2`, [owner, run]);
  return rows[0];
}

/** What of a run's terms is of the call that lets it go on. */
export type CallTerms = Pick<OpenRun, "keyId" | "tokenId" | "priceVersionId" | "priceMultiplier" | "quotaWeight" | "beganBy" | "beganAt">;

/** A call follows a run from now on, unless another one than `before` has begun to. */
export async function updateFollowed(
  db: Queryable,
  { owner, run }: RunName,
  call: CallTerms & { callId: string; before: string | null; lookMs: number },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE dify_runs SET state = 'followed', call_id = $3, key_id = $5, token_id = $6, price_version_id = $7, price_multiplier = $8,
       quota_weight = $9, began_by = $11, began_at = $12, since = clock_timestamp(), next_at = ${IN("$10")}, tries = 0
     WHERE owner = $1 AND run = $2 AND call_id IS NOT DISTINCT FROM $4`,
    [
      owner,
      run,
      call.callId,
      call.before,
      call.keyId,
      call.tokenId,
      call.priceVersionId,
      call.priceMultiplier,
      call.quotaWeight,
      call.lookMs,
      call.beganBy,
      call.beganAt,
    ],
  );
  return rowCount === 1;
}

/** The call of a run knows no more of it, or (`kept` false) has no hold for it any more; false when it was not its call. */
export async function updateLeft(db: Queryable, { owner, run }: RunName, callId: string, kept: boolean): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE dify_runs SET state = 'left', call_id = CASE WHEN $4 THEN call_id END, since = clock_timestamp(), next_at = clock_timestamp(),
       tries = 0 WHERE owner = $1 AND run = $2 AND call_id = $3`,
    [owner, run, callId, kept],
  );
  return rowCount === 1;
}

/** Looks at a run soon, where nobody is about to; while a call follows it, only whether that lives. */
export async function updateDue(db: Queryable, { owner, run }: RunName): Promise<void> {
  await db.query("UPDATE dify_runs SET next_at = clock_timestamp() WHERE owner = $1 AND run = $2 AND next_at > clock_timestamp()", [
    owner,
    run,
  ]);
}

/** A run is settled, or nothing more will be known of it; the call that was to pay for it. */
export async function deleteRun(db: Queryable, { owner, run }: RunName): Promise<string | null> {
  const { rows } = await db.query<{ callId: string | null }>(
    `DELETE FROM dify_runs WHERE owner = $1 AND run = $2 RETURNING call_id AS "callId"`,
    [owner, run],
  );
  return rows[0]?.callId ?? null;
}

/** Takes those that Dify is to be asked for, the longest due first: nobody else takes them for `leaseMs`. */
export async function takeDue(pool: Pool, limit: number, leaseMs: number): Promise<RunRow[]> {
  const { rows } = await pool.query<RunRow>(
    `UPDATE dify_runs SET next_at = ${IN("$2")} WHERE (owner, run) IN
       (SELECT owner, run FROM dify_runs WHERE next_at <= clock_timestamp() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING ${COLUMNS}`,
    [limit, leaseMs],
  );
  return rows;
}

/** Locks a run that is as it was when it was taken; false when it is not any more. */
export async function lockRun(tx: Queryable, { owner, run, state, callId }: RunRow): Promise<boolean> {
  const { rowCount } = await tx.query(
    "SELECT FROM dify_runs WHERE owner = $1 AND run = $2 AND state = $3 AND call_id IS NOT DISTINCT FROM $4 FOR UPDATE",
    [owner, run, state, callId],
  );
  return rowCount === 1;
}

/** What is known of a run that the caller has locked. */
export async function updateLooked(
  tx: Queryable,
  { owner, run }: RunName,
  next: { state: RunState; callId: string | null; since: Date | undefined; tries: number; lookMs: number },
): Promise<void> {
  await tx.query(
    `UPDATE dify_runs SET state = $3, call_id = $4, since = coalesce($5, clock_timestamp()), tries = $6, next_at = ${IN("$7")}
     WHERE owner = $1 AND run = $2`,
    [owner, run, next.state, next.callId, next.since ?? null, next.tries, next.lookMs],
  );
}

/** Those of the holds that pay for a run. */
export async function holdsOfRuns(db: Queryable, ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(`SELECT call_id AS id FROM dify_runs WHERE call_id = ANY ($1::uuid[])`, [ids]);
  return rows.map(({ id }) => id);
}

/** Runs of these wallets for which a hold is open, as the calls that pay for them. */
export async function runsHeldBy(db: Queryable, walletIds: readonly bigint[]): Promise<HeldRun[]> {
  const { rows } = await db.query<HeldRun>(
    `SELECT charge, call_id AS "callId", began_at AS "calledAt", user_id AS "userId", wallet_id AS "walletId", key_id AS "keyId",
       token_id AS "tokenId", model, provider_id AS "providerId", provider_name AS "providerName", price_version_id AS "priceVersionId",
       price_multiplier AS "priceMultiplier", quota_weight AS "quotaWeight"
     FROM dify_runs WHERE call_id IS NOT NULL AND wallet_id = ANY ($1::bigint[])`,
    [walletIds],
  );
  return rows;
}

/** How many there are in each state. */
export async function countRuns(db: Queryable): Promise<{ state: RunState; count: number }[]> {
  const { rows } = await db.query<{ state: RunState; count: number }>(
    "SELECT state, count(*)::integer AS count FROM dify_runs GROUP BY state",
  );
  return rows;
}
