import type { Budget, BudgetState, GrantSource, HoldOutcome, HoldRequest } from "./types.ts";

/**
 * The rules of the ledger as pure functions. The database applies the same rules in its own functions, where the rows are; the
 * property tests hold the two together.
 */

/** Which credit is spent first when a grant names no priority: what expires or was given goes before what was paid for. */
export const DEFAULT_PRIORITY: Record<GrantSource, number> = { allowance: 10, checkin: 20, bonus: 30, admin: 40, purchase: 50 };

export interface Tolerance {
  /** Percent of the hold, and micro-credits; the larger counts. */
  percent: number;
  micro: bigint;
}

/** What decides a hold: the wallet's whole balance and what of it is available (balance - held), and its budgets with their counters. */
export interface HoldGround {
  total: bigint;
  available: bigint;
  /** What the wallet owes. */
  owed?: bigint;
  budgets?: readonly (Budget & BudgetState)[];
}

/** What is asked of wallet and budgets. */
export type HoldAsk = Pick<HoldRequest, "amount" | "minAmount" | "counts">;

/**
 * Decides a hold. It gets what it asks or, when it names a minimum, what wallet and budgets of credits leave; of budgets of tokens the
 * same with tokens; nothing from a wallet that owes. A refusal names what will not change by itself (an empty wallet, a budget that was
 * spent) before what running calls will give back.
 */
export function decideHold(ask: HoldAsk, ground: HoldGround): HoldOutcome {
  const { total, available, owed = 0n, budgets = [] } = ground;
  const credits = budgets.filter(({ unit = "credits" }) => unit === "credits");
  const room = credits.reduce((left, budget) => least(left, budgetRoom(budget)), available);
  const needed = ask.minAmount ?? ask.amount;
  if (owed > 0n)
    return { kind: "refused", reason: "insufficient_balance", available, total, shortfall: lacking(needed + owed, available), owed };
  const amount = room >= ask.amount ? ask.amount : room >= needed ? room : undefined;
  const lacks = (budget: Budget & BudgetState) => budgetRoom(budget) < neededOf(ask, budget);
  if (amount !== undefined && !budgets.some(lacks)) {
    const held = { kind: "held" as const, amount, available: available - amount };
    const tokens = budgets.filter(({ unit }) => unit === "tokens").map(budgetRoom);
    return tokens.length === 0 ? held : { ...held, tokens: tokens.reduce(least, ask.counts!.tokens) };
  }
  if (total < needed) return { kind: "refused", reason: "insufficient_balance", available, total, shortfall: needed - available };
  const short = (budget: Budget & BudgetState) => neededOf(ask, budget) - budgetRoom(budget);
  const spent = budgets.find((budget) => budget.limit - budget.spent < neededOf(ask, budget) && lacks(budget));
  if (spent) return { kind: "refused", reason: "spend_limit_reached", budget: spent, shortfall: short(spent) };
  if (available < needed) return { kind: "refused", reason: "balance_on_hold", available, total, shortfall: needed - available };
  const busy = budgets.find(lacks)!;
  return { kind: "refused", reason: "spend_limit_on_hold", budget: busy, shortfall: short(busy) };
}

/** The least of a budget that a hold is made for. */
function neededOf({ amount, minAmount, counts }: HoldAsk, { unit = "credits" }: Budget): bigint {
  if (unit === "credits") return minAmount ?? amount;
  return unit === "requests" ? counts!.requests : (counts!.leastTokens ?? counts!.tokens);
}

const lacking = (needed: bigint, available: bigint): bigint => (needed > available ? needed - available : 0n);

/** What a budget leaves for one more hold; nothing when it is overspent. */
function budgetRoom({ limit, spent, held }: Budget & BudgetState): bigint {
  const left = limit - spent - held;
  return left > 0n ? left : 0n;
}

/** How much over its hold a call may cost: max(percent of the hold rounded down, micro). */
export function toleranceOf(held: bigint, tolerance: Tolerance): bigint {
  const share = (held * BigInt(tolerance.percent)) / 100n;
  return share > tolerance.micro ? share : tolerance.micro;
}

/**
 * What a call is charged: min(cost, held + tolerance, held + available); without its hold min(cost, available). What could not be capped
 * (`owes`) is charged min(cost, held + available), whatever its hold, and owes the rest.
 */
export function chargeFor(
  call: { cost: bigint; held: bigint | undefined; owes?: boolean },
  wallet: { available: bigint },
  tolerance: Tolerance,
): bigint {
  const extra = call.held === undefined || call.owes ? wallet.available : least(toleranceOf(call.held, tolerance), wallet.available);
  return least(call.cost, (call.held ?? 0n) + extra);
}

/** What the order of spending looks at; a smaller id is older. */
export interface Spendable {
  id: bigint;
  remaining: bigint;
  priority: number;
  expiresAt: Date | null;
}

/** Spends `amount` by priority, then earliest expiry, then oldest. Throws when the grants do not cover it. */
export function burnDown(grants: readonly Spendable[], amount: bigint): { id: bigint; amount: bigint }[] {
  const burns: { id: bigint; amount: bigint }[] = [];
  let left = amount;
  for (const grant of [...grants].sort(spendingOrder)) {
    const part = least(left, grant.remaining);
    if (part > 0n) burns.push({ id: grant.id, amount: part });
    left -= part;
  }
  if (left > 0n) throw new Error(`the grants lack ${left}`);
  return burns;
}

/** Sorts grants in the order in which they are spent. */
export function spendingOrder(a: Spendable, b: Spendable): number {
  const never = Number.POSITIVE_INFINITY;
  const expiry = (a.expiresAt?.getTime() ?? never) - (b.expiresAt?.getTime() ?? never);
  return a.priority - b.priority || (Number.isNaN(expiry) ? 0 : expiry) || (a.id < b.id ? -1 : 1);
}

/** What expiry looks at: what is available, and what holds that were made before a moment hold. */
export interface ExpiryGround {
  available: bigint;
  heldBefore?: (expiresAt: Date) => bigint;
}

/**
 * What expires at `now`: due grants in spending order, but never what open holds need, nor what holds made before a grant's expiry may
 * still burn of it.
 */
export function expireDue(grants: readonly Spendable[], wallet: ExpiryGround, now: Date): { id: bigint; amount: bigint }[] {
  const due = grants.filter((grant) => grant.remaining > 0n && grant.expiresAt !== null && grant.expiresAt <= now);
  const expired: { id: bigint; amount: bigint }[] = [];
  let kept = 0n;
  let left = wallet.available;
  for (const { id, remaining, expiresAt } of due.sort(spendingOrder)) {
    const wanted = (wallet.heldBefore?.(expiresAt!) ?? 0n) - kept;
    const keep = wanted > 0n ? least(remaining, wanted) : 0n;
    const part = least(remaining - keep, left);
    kept += keep;
    left -= part;
    if (part > 0n) expired.push({ id, amount: part });
  }
  return expired;
}

export function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
