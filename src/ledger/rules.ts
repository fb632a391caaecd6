import type { GrantSource, HoldOutcome } from "./types.ts";

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

/** Decides a hold against what is available (balance - held) and the whole balance. */
export function decideHold(ask: { amount: bigint; minAmount?: bigint }, wallet: { total: bigint; available: bigint }): HoldOutcome {
  const { total, available } = wallet;
  if (available >= ask.amount) return { kind: "held", amount: ask.amount };
  const needed = ask.minAmount ?? ask.amount;
  if (available >= needed) return { kind: "held", amount: available };
  const reason = total < needed ? "insufficient_balance" : "balance_on_hold";
  return { kind: "refused", reason, available, total, shortfall: needed - available };
}

/** How much over its hold a call may cost: max(percent of the hold rounded down, micro). */
export function toleranceOf(held: bigint, tolerance: Tolerance): bigint {
  const share = (held * BigInt(tolerance.percent)) / 100n;
  return share > tolerance.micro ? share : tolerance.micro;
}

/** What a call is charged: min(cost, held + tolerance, held + available); without its hold min(cost, available). */
export function chargeFor(call: { cost: bigint; held: bigint | undefined }, wallet: { available: bigint }, tolerance: Tolerance): bigint {
  const extra = call.held === undefined ? wallet.available : least(toleranceOf(call.held, tolerance), wallet.available);
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

/** What expires at `now`: due grants in spending order, but never what open holds need. */
export function expireDue(grants: readonly Spendable[], wallet: { available: bigint }, now: Date): { id: bigint; amount: bigint }[] {
  const due = grants.filter((grant) => grant.remaining > 0n && grant.expiresAt !== null && grant.expiresAt <= now);
  const sum = due.reduce((total, grant) => total + grant.remaining, 0n);
  return burnDown(due, least(sum, wallet.available));
}

export function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
