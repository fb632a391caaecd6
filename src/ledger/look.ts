import type { Pool } from "../platform/postgres.ts";
import { readBudgets, type SpentSince } from "./budgets.ts";
import { decideHold } from "./rules.ts";
import type { Budget, BudgetState, HoldLook, HoldOutcome } from "./types.ts";
import { readBalance } from "./wallets.ts";

interface Deps {
  pool: Pool;
  spentSince?: SpentSince | undefined;
}

/** What budgets have spent and held: by their counters or, where one was never used, what it would begin with. Opens none. */
export async function lookAtBudgets({ pool, spentSince }: Deps, budgets: readonly Budget[]): Promise<BudgetState[]> {
  const states = await readBudgets(pool, budgets);
  const opening = async (budget: Budget): Promise<BudgetState> => ({
    spent: budget.since && spentSince ? await spentSince(budget.id, budget.since, budget) : 0n,
    held: 0n,
  });
  return Promise.all(budgets.map((budget, i) => states[i] ?? opening(budget)));
}

/** What a hold asked for now would be answered, by the rules and counters that decide it. Holds nothing and opens no counter. */
export async function lookAtHold(deps: Deps, { walletId, budgets = [], ...ask }: HoldLook): Promise<HoldOutcome> {
  const [wallet, states] = await Promise.all([readBalance(deps.pool, walletId), lookAtBudgets(deps, budgets)]);
  const known = budgets.map((budget, i) => ({ ...budget, ...states[i]! }));
  return decideHold(ask, { ...wallet, owed: wallet.shortfall, budgets: known });
}
