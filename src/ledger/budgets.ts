import type { Pool, Queryable } from "../platform/postgres.ts";
import { list } from "./sql.ts";
import type { Budget, BudgetName, BudgetState, BudgetUnit, HoldCounts, HoldRequest } from "./types.ts";

/** What was spent by somebody (`key:<uuid>` …) since a moment, in the size of the budget's unit: asked when a limit is new, never for each call. */
export type SpentSince = (id: string, since: Date, budget: Budget) => Promise<bigint>;

const ID = /^[a-z]+:[0-9A-Za-z_.-]{1,64}$/;
const PERIOD = /^(total|m:\d{4}-\d{2}|(d|to):\d{4}-\d{2}-\d{2}|q[rtc]:\d{4}-\d{2}-\d{2}T\d{2}:\d{2}Z)$/;
/** The unit is part of a quota's name, so that no counter is ever one of two units. */
const UNITS: Record<string, BudgetUnit> = { "qr:": "requests", "qt:": "tokens" };
const MAX_LIMIT = 4n * 10n ** 18n;

/** Throws a RangeError or TypeError for a budget that Postgres would refuse, and the whole batch with it. */
export function checkBudget({ id, period, limit, unit = "credits" }: Budget): void {
  if (!ID.test(id)) throw new TypeError(`a budget cannot be named ${id}`);
  if (!PERIOD.test(period)) throw new TypeError(`a budget cannot be for ${period}`);
  if (limit < 0n || limit > MAX_LIMIT) throw new RangeError(`a budget cannot be ${limit}`);
  if (unit !== (UNITS[period.slice(0, 3)] ?? "credits")) throw new TypeError(`a budget for ${period} cannot count ${unit}`);
}

/** Throws a RangeError or TypeError for counts that Postgres would refuse, or that a budget needs and that are not there. */
export function checkCounts({ id, budgets = [], counts }: HoldRequest): void {
  if (!counts) {
    if (budgets.some(({ unit = "credits" }) => unit !== "credits")) throw new TypeError(`hold ${id} does not say what it counts`);
    return;
  }
  for (const count of [counts.requests, counts.tokens, counts.leastTokens ?? 0n]) {
    if (count < 0n || count > MAX_LIMIT) throw new RangeError(`a hold cannot count ${count}`);
  }
}

/** What a hold counts on a budget; undefined for its amount. */
const countOf = (unit: BudgetUnit | undefined, counts: HoldCounts | undefined): bigint | undefined =>
  unit === "requests" ? counts!.requests : unit === "tokens" ? counts!.tokens : undefined;

/** The budgets of a batch: each counter once, and for each budget of each hold which counter it is. */
export interface BatchBudgets {
  /** Of each hold in turn. */
  budgets: Budget[];
  /** Parameters of ledger_hold. */
  values: unknown[];
}

const NONE: BatchBudgets = { budgets: [], values: [null, null, null, null, null, null, null] };

/** Gathers the budgets of a batch; costs next to nothing when there are none. */
export function gatherBudgets(batch: readonly HoldRequest[]): BatchBudgets {
  if (!batch.some((hold) => hold.budgets?.length)) return NONE;
  const places = new Map<string, number>();
  const [ids, periods]: [string[], string[]] = [[], []];
  const [of, which]: [number[], number[]] = [[], []];
  const [counts, leasts]: [(bigint | "NULL")[], (bigint | "NULL")[]] = [[], []];
  const budgets: Budget[] = [];
  let counted = false;
  batch.forEach((hold, i) => {
    for (const budget of hold.budgets ?? []) {
      const name = nameOf(budget);
      let place = places.get(name);
      if (place === undefined) {
        place = ids.push(budget.id);
        periods.push(budget.period);
        places.set(name, place);
      }
      of.push(i + 1);
      which.push(place);
      budgets.push(budget);
      const count = countOf(budget.unit, hold.counts);
      counted ||= count !== undefined;
      counts.push(count ?? "NULL");
      leasts.push((budget.unit === "tokens" && hold.counts?.leastTokens) || "NULL");
    }
  });
  const limits = list(budgets.map((budget) => budget.limit));
  return { budgets, values: [ids, periods, list(of), list(which), limits, counted ? list(counts) : null, counted ? list(leasts) : null] };
}

const nameOf = ({ id, period }: BudgetName) => `${id} ${period}`;

/** Opens a counter with what was spent before in its period, unless it is there. */
export async function openBudget(db: Queryable, budget: Budget, spentSince?: SpentSince): Promise<void> {
  const spent = budget.since && spentSince ? await spentSince(budget.id, budget.since, budget) : 0n;
  await db.query("SELECT ledger_open_budgets($1, $2, $3)", [[budget.id], [budget.period], [spent]]);
}

/** Opens counters on their first use. */
export function createBudgetOpener(deps: { pool: Pool; spentSince?: SpentSince | undefined }) {
  const opening = new Map<string, Promise<void>>();

  /** Opens a counter with what was spent before in its period, unless it is there. Many callers at once ask once. */
  return function open(budget: Budget): Promise<void> {
    const name = nameOf(budget);
    let underWay = opening.get(name);
    if (!underWay) {
      underWay = openBudget(deps.pool, budget, deps.spentSince).finally(() => opening.delete(name));
      opening.set(name, underWay);
    }
    return underWay;
  };
}

/** What counters say, in the order of `names`; undefined for one that was never used. */
export async function readBudgets(pool: Pool, names: readonly BudgetName[]): Promise<(BudgetState | undefined)[]> {
  if (names.length === 0) return [];
  const { rows } = await pool.query<{ spent: bigint | null; held: bigint | null }>(
    `SELECT b.spent, b.held FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (id, period, n)
     LEFT JOIN ledger_budgets b ON b.id = q.id AND b.period = q.period ORDER BY q.n`,
    [names.map((name) => name.id), names.map((name) => name.period)],
  );
  return rows.map(({ spent, held }) => (spent === null || held === null ? undefined : { spent, held }));
}

/** Forgets counters whose period is over. */
export async function forgetBudgets(pool: Pool, before: Date, limit = 10_000): Promise<number> {
  const { rows } = await pool.query<{ forgotten: bigint }>("SELECT ledger_forget_budgets($1, $2) AS forgotten", [before, limit]);
  return Number(rows[0]!.forgotten);
}
