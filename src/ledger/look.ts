import type { Pool } from "../platform/postgres.ts";
import { readBudgets, type SpentSince } from "./budgets.ts";
import { decideHold } from "./rules.ts";
import type { HoldLook, HoldOutcome } from "./types.ts";
import { readBalance } from "./wallets.ts";

/** What a hold asked for now would be answered, by the rules and counters that decide it. Holds nothing and opens no counter. */
export async function lookAtHold(
  deps: { pool: Pool; spentSince?: SpentSince | undefined },
  { walletId, budgets = [], ...ask }: HoldLook,
): Promise<HoldOutcome> {
  const [wallet, states] = await Promise.all([readBalance(deps.pool, walletId), readBudgets(deps.pool, budgets)]);
  const known = budgets.map(async (budget, i) => {
    // A counter that was never used begins with what was spent before.
    const opening = async () => (budget.since && deps.spentSince ? await deps.spentSince(budget.id, budget.since, budget) : 0n);
    return { ...budget, ...(states[i] ?? { spent: await opening(), held: 0n }) };
  });
  return decideHold(ask, { ...wallet, owed: wallet.shortfall, budgets: await Promise.all(known) });
}
