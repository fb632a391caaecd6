import type { Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import { budgetsAt, countedAt, spendLimits, type Limits, type LimitZone } from "../quotas/index.ts";
import { usedSince, type Used } from "./spent.ts";

/** The limits that count for a key. */
export interface KeyLimits {
  zone: LimitZone;
  key: Limits;
  account: Limits;
}

export interface KeySpendingDeps {
  pool: Pool;
  ledger: Pick<Ledger, "spending">;
}

/**
 * What a key used today and this month (in its user's time zone), its limits, and what each spend limit leaves: from the counters that
 * enforce it or, while there is none yet, from what it would begin with.
 */
export async function keySpending(deps: KeySpendingDeps, ids: { userId: string; keyId: string }, limits: KeyLimits, now: Date) {
  const { pool } = deps;
  const { zone, key, account } = limits;
  const owner = `key:${ids.keyId}`;
  const { day, dayBegan, dayEnds, month, monthBegan, monthEnds } = countedAt(zone, now.getTime());
  const spend = spendLimits(
    [
      { id: owner, limits: key },
      { id: `user:${ids.userId}`, limits: account },
    ],
    zone,
  );
  const budgets = spend ? budgetsAt(spend, now.getTime()) : [];
  const states = await deps.ledger.spending(budgets);
  const ends = { total: null, daily: dayEnds.toISOString(), monthly: monthEnds.toISOString() };
  return {
    time_zone: zone.timeZone,
    today: { date: day, ...present(await usedSince(pool, owner, dayBegan)) },
    month: { month, ...present(await usedSince(pool, owner, monthBegan)) },
    limits: { key, account },
    budgets: await Promise.all(
      budgets.map(async (budget, i) => {
        const { span } = spend!.limits[i]!;
        const { spent, held } = states[i]!;
        const left = budget.limit - spent - held;
        return {
          of: budget.id === owner ? ("key" as const) : ("account" as const),
          limit: `spend_${span}`,
          amount: formatCredits(budget.limit),
          spent: formatCredits(spent),
          held: formatCredits(held),
          left: formatCredits(left > 0n ? left : 0n),
          resets_at: ends[span],
        };
      }),
    ),
  };
}

function present(used: Used) {
  return {
    requests: Number(used.requests),
    failed: Number(used.failed),
    input_tokens: Number(used.input_tokens),
    output_tokens: Number(used.output_tokens),
    cost: formatCredits(used.cost),
  };
}
