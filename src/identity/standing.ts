import { recordAudit } from "../admin/audit.ts";
import { announce } from "../platform/invalidation.ts";
import type { Queryable } from "../platform/postgres.ts";

/** What tiers are reviewed by. */
export interface Reviewed {
  userId: string;
  walletId: bigint;
  tier: string;
  createdAt: Date;
}

/** Those of the users whose accounts are active, locked so that their tier cannot change meanwhile. */
export async function activePeople(tx: Queryable, userIds: readonly string[]): Promise<Reviewed[]> {
  const { rows } = await tx.query<{ id: string; wallet_id: bigint; tier: string; created_at: Date }>(
    "SELECT id, wallet_id, tier, created_at FROM users WHERE id = ANY ($1) AND status = 'active' ORDER BY id FOR NO KEY UPDATE",
    [userIds],
  );
  return rows.map((row) => ({ userId: row.id, walletId: row.wallet_id, tier: row.tier, createdAt: row.created_at }));
}

/** How failures of an account are named, see lockout.ts. */
const ACCOUNT = "account:";

/**
 * Failed attempts to sign in since the last success, of users who have such: from addresses they were signed in from. What strangers try
 * on an account says nothing about its owner.
 */
export async function signInFailures(db: Queryable, userIds: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await db.query<{ subject: string; failures: number }>(
    "SELECT subject, own_failures AS failures FROM login_failures WHERE subject = ANY ($1) AND own_failures > 0",
    [userIds.map((id) => `${ACCOUNT}${id}`)],
  );
  return new Map(rows.map(({ subject, failures }) => [subject.slice(ACCOUNT.length), failures]));
}

/** Gives a user the tier that rules decided on, on every copy at once, with its reasons in the audit log. */
export async function giveTier(tx: Queryable, userId: string, change: { tier: string; reasons: unknown }): Promise<void> {
  await tx.query("UPDATE users SET tier = $2, updated_at = now() WHERE id = $1", [userId, change.tier]);
  await recordAudit(tx, {
    actorId: null,
    action: "user.tier",
    target: `user:${userId}`,
    details: { ...change, by: "rules" },
    traceId: null,
  });
  await announce(tx, "user", userId);
}
