import type { Queryable } from "../platform/postgres.ts";
import type { LateHold, LateHolds } from "./types.ts";

/**
 * Opens holds of 0, by which what is charged in the same transaction counts on the budgets of earlier calls; answers the ids of those whose
 * calls had any. Locks the wallets first, all in one order; rejects with a lock time-out (isLockTimeout) when somebody keeps one of them, or a
 * budget, for longer than `patienceMs`.
 */
export async function holdLate(
  tx: Queryable,
  holds: readonly LateHold[],
  { wallets, patienceMs = 0 }: LateHolds,
): Promise<ReadonlySet<string>> {
  if (holds.length === 0) return new Set();
  const { rows } = await tx.query<{ id: string }>("SELECT ledger_hold_late($1, $2, $3, $4, $5, $6, $7) AS id", [
    holds.map(({ id }) => id),
    holds.map(({ of }) => of[0] ?? null),
    holds.map(({ of }) => of[1] ?? null),
    holds.map(({ walletId }) => walletId),
    holds.map(({ tokens }) => tokens),
    wallets,
    Math.ceil(patienceMs),
  ]);
  return new Set(rows.map(({ id }) => id));
}
