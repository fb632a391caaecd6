import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import { createHolds } from "./holds.ts";
import { credit, debit } from "./postings.ts";
import type { Tolerance } from "./rules.ts";
import { settle } from "./settle.ts";
import type { Ledger } from "./types.ts";
import { verify } from "./verify.ts";
import { ensureWallet, readBalance, readHistory, readIncidents } from "./wallets.ts";

export type * from "./types.ts";

/** The ledger on a pool whose connections read int8 as bigint (createPool). Opens nothing until it is used. */
export function createLedger(deps: { pool: Pool; log: Logger; tolerance: Tolerance }): Ledger {
  const { pool, log, tolerance } = deps;
  const holds = createHolds({ pool, log });
  return {
    ensureWallet,
    balance: (walletId) => readBalance(pool, walletId),
    credit,
    debit,
    authorize: holds.authorize,
    extend: holds.extend,
    release: holds.release,
    settle: (tx, items) => settle(tx, items, tolerance),
    sweep: holds.sweep,
    async expireGrants(now?: Date, limit = 100) {
      const { rows } = await pool.query<{ changed: number }>("SELECT ledger_expire_grants(coalesce($1, now()), $2) AS changed", [
        now ?? null,
        limit,
      ]);
      return rows[0]!.changed;
    },
    forgetHolds: holds.forget,
    history: (walletId, filter, page) => readHistory(pool, walletId, filter, page),
    incidents: (page) => readIncidents(pool, page),
    verify: () => verify(pool),
    close: holds.close,
  };
}
