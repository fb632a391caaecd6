import { recordAudit } from "../admin/audit.ts";
import type { Principal } from "../http/principal.ts";
import { appError } from "../platform/errors.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import type { Changes } from "./changes.ts";

/** What prices may depend on beside the model: the user's tier and the group operators put the key in. */
export interface PriceClass {
  tier: string;
  keyGroup: string | null;
}

export interface PriceClasses {
  /** Of somebody who asks what a call would cost; without a key as for a key in no group. */
  of(principal: Principal): Promise<PriceClass>;
  /** Puts a key in a group, or in none. Throws `not_found`. Audited; counts on every copy at once. */
  setGroup(actor: { userId: string; traceId: string }, keyId: string, group: string | null): Promise<void>;
}

export function createPriceClasses(deps: { pool: Pool; changes: Changes }): PriceClasses {
  const { pool, changes } = deps;
  return {
    async of(principal) {
      const { rows } = await pool.query<{ tier: string; key_group: string | null }>(
        "SELECT u.tier, k.key_group FROM users u LEFT JOIN api_keys k ON k.id = $2 AND k.user_id = u.id WHERE u.id = $1",
        [principal.userId, principal.apiKeyId ?? null],
      );
      if (!rows[0]) throw appError("not_found");
      return { tier: rows[0].tier, keyGroup: rows[0].key_group };
    },
    async setGroup(actor, keyId, group) {
      await inTransaction(pool, async (tx) => {
        const { rowCount } = await tx.query("UPDATE api_keys SET key_group = $2, updated_at = now() WHERE id = $1", [keyId, group]);
        if (rowCount === 0) throw appError("not_found", { message: "There is no such key" });
        await recordAudit(tx, {
          actorId: actor.userId,
          action: "key.group",
          target: `key:${keyId}`,
          details: { group },
          traceId: actor.traceId,
        });
        await announce(tx, "api_key", keyId);
      });
      changes.made("api_key", keyId);
    },
  };
}
