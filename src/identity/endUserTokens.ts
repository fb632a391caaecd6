import type { Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { appError, fieldError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { lifeBudget, type Limits } from "../quotas/index.ts";
import type { Changes } from "./changes.ts";
import { makeToken } from "./keyFormat.ts";

/** Tokens of one key that may work at the same time. */
const LIVE_MAX = 10_000;
/** Tokens that have ended are kept this long for whoever asks what they spent. */
const KEPT_DAYS = 30;

export interface TokenSettings {
  ttlSeconds: number;
  /** Micro-credits for its whole life. */
  budget: bigint;
  limits: Limits;
  models: string[] | null;
  allowedIps: string[] | null;
  /** Who it is for, in the words of who asks. */
  endUser: string | null;
}

interface TokenRow {
  id: string;
  key_id: string;
  prefix: string;
  end_user: string | null;
  budget: bigint;
  limits: Limits;
  models: string[] | null;
  allowed_ips: string[] | null;
  created_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
}

/** A token as shown to the owner of its key; the token itself is shown once, when it is made. */
export interface TokenView {
  id: string;
  key_id: string;
  prefix: string;
  end_user: string | null;
  status: "active" | "revoked" | "expired";
  budget: string;
  spent: string;
  /** What running calls may still spend. */
  held: string;
  limits: Limits;
  models: string[] | null;
  allowed_ips: string[] | null;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
}

export interface EndUserTokens {
  /** Makes a token of a key. It ends with its key at the latest. Throws `conflict` when the key has too many. */
  mint(keyId: string, settings: TokenSettings): Promise<TokenView & { token: string }>;
  /** Tokens of a key, newest first, with what they spent. */
  list(keyId: string, page: { page: number; page_size: number }): Promise<{ items: TokenView[]; total: number }>;
  /** Revokes for good, on every copy within a second; doing it again changes nothing. */
  revoke(keyId: string, id: string): Promise<TokenView>;
  /** Forgets tokens that ended long ago. Returns how many. */
  forget(): Promise<number>;
}

const COLUMNS = "id, key_id, prefix, end_user, budget, limits, models, allowed_ips, created_at, expires_at, revoked_at";

/** Short-lived tokens that a key's owner hands to end users: for calls only, each with a budget of its own. */
export function createEndUserTokens(deps: { pool: Pool; ledger: Pick<Ledger, "budgets">; changes: Changes }): EndUserTokens {
  const { pool, ledger, changes } = deps;

  async function present(rows: TokenRow[]): Promise<TokenView[]> {
    const states = await ledger.budgets(rows.map((row) => lifeBudget(`token:${row.id}`, row.expires_at, row.budget)));
    return rows.map((row, i) => ({
      id: row.id,
      key_id: row.key_id,
      prefix: row.prefix,
      end_user: row.end_user,
      status: row.revoked_at ? "revoked" : row.expires_at <= new Date() ? "expired" : "active",
      budget: formatCredits(row.budget),
      spent: formatCredits(states[i]?.spent ?? 0n),
      held: formatCredits(states[i]?.held ?? 0n),
      limits: row.limits,
      models: row.models,
      allowed_ips: row.allowed_ips,
      created_at: row.created_at.toISOString(),
      expires_at: row.expires_at.toISOString(),
      revoked_at: row.revoked_at?.toISOString() ?? null,
    }));
  }

  return {
    async mint(keyId, { ttlSeconds, budget, limits, models, allowedIps, endUser }) {
      const { key: token, hash, prefix } = makeToken();
      const keys = await pool.query<{ models: string[] | null; live: number }>(
        `SELECT models, (SELECT count(*)::int FROM (
           SELECT FROM end_user_tokens WHERE key_id = $1 AND revoked_at IS NULL AND expires_at > now() LIMIT $2) AS working) AS live
         FROM api_keys WHERE id = $1`,
        [keyId, LIVE_MAX],
      );
      const key = keys.rows[0];
      if (!key) throw appError("not_found");
      if (key.live >= LIVE_MAX) throw appError("conflict", { message: `A key may have at most ${LIVE_MAX} tokens at a time` });
      const foreign = models?.find((model) => key.models && !key.models.some((one) => one.toLowerCase() === model.toLowerCase()));
      if (foreign !== undefined) throw fieldError("models", `${foreign} is not among the models of this key`);
      const { rows } = await pool.query<TokenRow>(
        `INSERT INTO end_user_tokens (id, key_id, hash, prefix, end_user, budget, limits, models, allowed_ips, expires_at)
         SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, least(now() + make_interval(secs => $10), expires_at) FROM api_keys WHERE id = $2
         RETURNING ${COLUMNS}`,
        [uuidv7(), keyId, hash, prefix, endUser, budget, JSON.stringify(limits), models, allowedIps, ttlSeconds],
      );
      const [view] = await present(rows);
      return { ...view!, token };
    },

    async list(keyId, { page, page_size }) {
      const [count, found] = await Promise.all([
        pool.query<{ total: number }>("SELECT count(*)::int AS total FROM end_user_tokens WHERE key_id = $1", [keyId]),
        pool.query<TokenRow>(
          `SELECT ${COLUMNS} FROM end_user_tokens WHERE key_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3`,
          [keyId, page_size, (page - 1) * page_size],
        ),
      ]);
      return { items: await present(found.rows), total: count.rows[0]!.total };
    },

    async revoke(keyId, id) {
      const row = await inTransaction(pool, async (tx) => {
        const { rows } = await tx.query<TokenRow>(
          `UPDATE end_user_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 AND key_id = $2 RETURNING ${COLUMNS}`,
          [id, keyId],
        );
        if (!rows[0]) throw appError("not_found", { message: "There is no such token" });
        await announce(tx, "api_key", id);
        return rows[0];
      });
      changes.made("api_key", id);
      const [view] = await present([row]);
      return view!;
    },

    async forget() {
      const { rowCount } = await pool.query(
        `DELETE FROM end_user_tokens WHERE id = ANY (ARRAY(
           SELECT id FROM end_user_tokens WHERE expires_at < now() - make_interval(days => $1) LIMIT 20000))`,
        [KEPT_DAYS],
      );
      return rowCount ?? 0;
    },
  };
}
