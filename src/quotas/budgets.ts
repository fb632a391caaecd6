import type { Budget } from "../ledger/index.ts";
import { parseCredits } from "../platform/credits.ts";
import { periodsAt } from "./periods.ts";
import type { Limits } from "./tiers.ts";

/** One spend limit, ready to be held against. */
export interface SpendLimit {
  /** Whose: `user:<id>`, `key:<id>`, `token:<id>`. */
  id: string;
  span: "total" | "daily" | "monthly";
  limit: bigint;
}

/** The spend limits that count for a caller, narrowest first. Days and months are those of `timeZone`. */
export interface SpendLimits {
  timeZone: string;
  limits: SpendLimit[];
  /** Budgets whose period does not change with the day. */
  fixed: Budget[];
  /** The budgets of the present, made once a period. */
  present: { fromMs: number; untilMs: number; budgets: readonly Budget[] } | undefined;
}

const SPANS = [
  ["spend_total", "total"],
  ["spend_daily", "daily"],
  ["spend_monthly", "monthly"],
] as const;

/** The budget of something that ends: all that is spent of it until then. */
export function lifeBudget(id: string, endsAt: Date, limit: bigint): Budget {
  return { id, period: `to:${endsAt.toISOString().slice(0, 10)}`, limit };
}

/** Prepares the spend limits of a caller, so that a call costs no parsing; null when there are none. */
export function spendLimits(owners: readonly { id: string; limits: Limits }[], timeZone: string, fixed: Budget[] = []): SpendLimits | null {
  const limits = owners.flatMap(({ id, limits: given }) =>
    SPANS.flatMap(([name, span]) => {
      const limit = given[name] === undefined ? undefined : parseCredits(given[name]);
      return limit === undefined ? [] : [{ id, span, limit }];
    }),
  );
  return limits.length + fixed.length === 0 ? null : { timeZone, limits, fixed, present: undefined };
}

/** The budgets a call that begins at `ms` is held against. */
export function budgetsAt(spend: SpendLimits, ms: number): readonly Budget[] {
  const { present } = spend;
  if (present && ms >= present.fromMs && ms < present.untilMs) return present.budgets;
  const { day, month, dayBegan, monthBegan, fromMs, untilMs } = periodsAt(spend.timeZone, ms);
  const made = spend.limits.map(({ id, span, limit }): Budget => {
    if (span === "total") return { id, period: "total", limit, since: new Date(0) };
    return span === "daily" ? { id, period: `d:${day}`, limit, since: dayBegan } : { id, period: `m:${month}`, limit, since: monthBegan };
  });
  const budgets = [...spend.fixed, ...made];
  spend.present = { fromMs, untilMs, budgets };
  return budgets;
}
