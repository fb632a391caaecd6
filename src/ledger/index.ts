import type { Logger } from "../platform/logger.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { forgetBudgets, readBudgets, type SpentSince } from "./budgets.ts";
import { creditMany, expireWallets, walletStates } from "./batches.ts";
import { createHolds } from "./holds.ts";
import { holdLate } from "./lateHolds.ts";
import { lookAtBudgets, lookAtHold } from "./look.ts";
import { createHoldMetrics } from "./metrics.ts";
import { heldWithin, releaseWithin, replaceHold, reserve, settlePart } from "./parts.ts";
import { credit, creditAnd, creditTogether, debit, takeBack } from "./postings.ts";
import type { Tolerance } from "./rules.ts";
import { foresee, settle, settleAnd, unlocked } from "./settle.ts";
import type { Ledger } from "./types.ts";
import { holdingSince, turnoverAfter, turnoverSince } from "./turnover.ts";
import { verify } from "./verify.ts";
import { ensureWallet, readBalance, readHeld, readHistory, readIncidents, readShortfalls } from "./wallets.ts";

export type { SpentSince } from "./budgets.ts";
export { purchasedOn } from "./purchases.ts";
export { watchLedger } from "./metrics.ts";
export type * from "./types.ts";

/**
 * The ledger on a pool whose connections read int8 as bigint (createPool). Opens nothing until it is used. `spentSince` says what a new
 * budget begins with; without it, with nothing.
 */
export function createLedger(deps: { pool: Pool; log: Logger; tolerance: Tolerance; spentSince?: SpentSince; metrics?: Metrics }): Ledger {
  const { pool, log, tolerance, metrics = createMetrics() } = deps;
  const holds = createHolds({ pool, log, spentSince: deps.spentSince, metrics: createHoldMetrics(metrics) });
  let differences: number | undefined;
  metrics.gauge({
    name: "tollkeeper_ledger_differences",
    help: "Differences found by the last full proof that this process ran; without a value until then.",
    read: () => differences ?? [],
  });
  return {
    ensureWallet,
    balance: (walletId) => readBalance(pool, walletId),
    credit,
    creditAnd,
    creditMany,
    expireWallets,
    walletStates,
    turnoverAfter,
    turnoverSince,
    holdingSince,
    debit,
    takeBack,
    creditTogether,
    authorize: holds.authorize,
    look: (hold) => lookAtHold(deps, hold),
    spending: (budgets) => lookAtBudgets(deps, budgets),
    reserve: (tx, hold) => reserve(tx, hold, deps.spentSince),
    holdLate,
    settlePart,
    replaceHold: (tx, hold) => replaceHold(tx, hold, deps.spentSince),
    releaseWithin,
    heldWithin,
    extend: holds.extend,
    stillHeld: holds.stillHeld,
    release: holds.release,
    settle: (tx, items) => settle(tx, items, tolerance),
    settleAnd: (tx, items, follow) => settleAnd(tx, items, follow, tolerance),
    foresee: (tx, items, patienceMs) => foresee(tx, items, tolerance, patienceMs),
    unlocked: (walletIds) => unlocked(pool, walletIds),
    sweep: holds.sweep,
    async expireGrants(now?: Date, limit = 100) {
      const { rows } = await pool.query<{ changed: number }>("SELECT ledger_expire_grants(coalesce($1, now()), $2) AS changed", [
        now ?? null,
        limit,
      ]);
      return rows[0]!.changed;
    },
    forgetHolds: holds.forget,
    heldFor: (ids) => readHeld(pool, ids),
    budgets: (names) => readBudgets(pool, names),
    forgetBudgets: (before, limit) => forgetBudgets(pool, before, limit),
    shortfalls: (ids, db = pool) => readShortfalls(db, ids),
    history: (walletId, filter, page) => readHistory(pool, walletId, filter, page),
    incidents: (page) => readIncidents(pool, page),
    async verify() {
      const proof = await verify(pool);
      differences = proof.differences.length;
      return proof;
    },
    close: holds.close,
  };
}
