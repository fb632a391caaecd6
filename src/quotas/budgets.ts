import type { Budget } from "../ledger/index.ts";
import { parseCredits } from "../platform/credits.ts";
import { hasQuotas, weightsAt, quotaBudgets, type QuotaSource } from "./counters.ts";
import type { Limits } from "./tiers.ts";
import { countedAt, type LimitZone } from "./zones.ts";

/** One spend limit, ready to be held against. */
export interface SpendLimit {
  /** Whose: `user:<id>`, `key:<id>`, `token:<id>`. */
  id: string;
  span: "total" | "daily" | "monthly";
  limit: bigint;
}

/** The budgets of the present, made once a period. */
interface Present {
  fromMs: number;
  untilMs: number;
  budgets: readonly Budget[];
  /** What calls of a model count in quotas, in percent, where plan or tier say so; undefined when nothing but credits is counted. */
  weights: Readonly<Record<string, number>> | undefined;
}

/** The spend limits and quotas that count for a caller, narrowest first. Days and months are those of `zone`. */
export interface SpendLimits {
  zone: LimitZone;
  limits: SpendLimit[];
  /** Budgets whose period does not change with the day. */
  fixed: Budget[];
  quotas: QuotaSource | null;
  present: Present | undefined;
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

/** Prepares the spend limits and quotas of a caller, so that a call costs no parsing; null when there are none. */
export function spendLimits(
  owners: readonly { id: string; limits: Limits }[],
  zone: LimitZone,
  more: { fixed?: Budget[] | undefined; quotas?: QuotaSource } = {},
): SpendLimits | null {
  const limits = owners.flatMap(({ id, limits: given }) =>
    SPANS.flatMap(([name, span]) => {
      const limit = given[name] === undefined ? undefined : parseCredits(given[name]);
      return limit === undefined ? [] : [{ id, span, limit }];
    }),
  );
  const { fixed = [] } = more;
  const quotas = more.quotas && hasQuotas(more.quotas) ? more.quotas : null;
  return limits.length + fixed.length === 0 && !quotas ? null : { zone, limits, fixed, quotas, present: undefined };
}

/** The budgets a call that begins at `ms` is held against, and how its model is weighted. */
export function presentAt(spend: SpendLimits, ms: number): Present {
  const { present } = spend;
  if (present && ms >= present.fromMs && ms < present.untilMs) return present;
  const { day, month, dayBegan, monthBegan, fromMs, untilMs, longer } = countedAt(spend.zone, ms);
  const made = spend.limits.map(({ id, span, limit }): Budget => {
    if (span === "total") return { id, period: "total", limit, since: new Date(0) };
    if (span === "monthly") return { id, period: `m:${month}`, limit, since: monthBegan };
    return { id, period: `d:${day}`, limit: limit + (limit * longer) / 1_000_000n, since: dayBegan };
  });
  const quotas = spend.quotas && quotaBudgets(spend.quotas, ms);
  const budgets = [...spend.fixed, ...made, ...(quotas?.budgets ?? [])];
  const counts = budgets.some(({ unit = "credits" }) => unit !== "credits");
  return (spend.present = {
    // A quota's terms may have begun since the quarter of an hour did.
    fromMs: quotas ? ms : fromMs,
    untilMs: Math.min(untilMs, quotas?.untilMs ?? Infinity),
    budgets,
    weights: counts ? weightsAt(spend.quotas!, ms) : undefined,
  });
}

/** The budgets a call that begins at `ms` is held against. */
export const budgetsAt = (spend: SpendLimits, ms: number): readonly Budget[] => presentAt(spend, ms).budgets;
