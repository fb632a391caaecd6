import type { WalletView } from "./view.ts";

const MICRO = 1_000_000;
/** Of a key that does not expire: 2100-01-01, for clients show a date. */
const FAR_AWAY = 4_102_444_800;

/** Dollars as a number with at most six decimals. One credit is one dollar where no rate is configured. */
const dollars = (micro: bigint, microPerDollar: bigint): number =>
  Math.round((Number(micro) / Number(microPerDollar > 0n ? microPerDollar : 1_000_000n)) * MICRO) / MICRO;

/** What older clients read as the subscription: its limit is what was spent and what is left together. */
export function subscriptionOf(view: WalletView, microPerDollar: bigint, expiresAt: Date | null): object {
  const limit = dollars(view.spent + view.left, microPerDollar);
  return {
    object: "billing_subscription",
    has_payment_method: true,
    canceled: false,
    access_until: expiresAt ? Math.floor(expiresAt.getTime() / 1_000) : FAR_AWAY,
    soft_limit_usd: limit,
    hard_limit_usd: limit,
    system_hard_limit_usd: limit,
    plan: { title: "Prepaid", id: "prepaid" },
  };
}

/**
 * What older clients read as usage, in cents. All of it, whatever dates are asked for: clients take it from the limit to show what is left,
 * and the limit knows no dates.
 */
export function usageOf(view: WalletView, microPerDollar: bigint): object {
  return { object: "list", total_usage: dollars(view.spent * 100n, microPerDollar), daily_costs: [] };
}
