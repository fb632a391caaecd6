import { z } from "zod";
import type { Principal } from "../http/principal.ts";
import { ok, route, type Route } from "../http/route.ts";
import { isoTime, uuid } from "../http/schemas.ts";
import type { Budget, Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { formatDecimal } from "../platform/decimal.ts";
import { presentAt, type SpendLimits } from "./budgets.ts";
import { presentSubscription } from "./plans/routes.ts";
import type { Subscriptions } from "./subscriptions.ts";

const amount = z.string().meta({ description: "Exact decimal text in the unit", examples: ["1000"] });
const quotaView = z.object({
  plan: z.string(),
  period: z.object({ starts_at: isoTime, ends_at: isoTime }),
  resets_at: isoTime,
  counters: z.array(
    z.object({
      of: z.enum(["account", "key"]),
      unit: z.enum(["requests", "tokens", "credits"]),
      limit: amount,
      used: amount,
      held: amount.meta({ description: "What running calls may still use" }),
      left: amount,
      resets_at: isoTime,
    }),
  ),
});

/** A quota as answers show it. */
function presentCounter({ id, unit = "credits", limit, resetsAt }: Budget, { spent, held }: { spent: bigint; held: bigint }) {
  const left = limit - spent - held;
  const text = (value: bigint) => (unit === "credits" ? formatCredits(value) : formatDecimal(value, 2));
  return {
    of: id.startsWith("key:") ? ("key" as const) : ("account" as const),
    unit,
    limit: text(limit),
    used: text(spent),
    held: text(held),
    left: text(left > 0n ? left : 0n),
    resets_at: resetsAt!.toISOString(),
  };
}

type Asked = Pick<Principal, "userId" | "apiKeyId">;

/** Quotas as they stand, for people and operators. */
export function quotaRoutes(deps: {
  ledger: Pick<Ledger, "spending">;
  subscriptions: Pick<Subscriptions, "of">;
  spendOf: (who: Asked) => Promise<SpendLimits | null>;
}): Route[] {
  const { ledger, subscriptions, spendOf } = deps;

  async function quotaOf(who: Asked) {
    const [spend, subscription] = await Promise.all([spendOf(who), subscriptions.of(who.userId)]);
    const budgets = spend ? presentAt(spend, Date.now()).budgets.filter(({ resetsAt }) => resetsAt !== undefined) : [];
    const states = await ledger.spending(budgets);
    const { plan, period } = presentSubscription(subscription);
    const counters = budgets.map((budget, n) => presentCounter(budget, states[n]!));
    return { plan, period, resets_at: period.ends_at, counters };
  }

  return [
    route({
      method: "get",
      path: "/api/user/quota",
      summary: "My quotas and how they stand",
      description: "Of the account and, asked with an API key, of that key. Without quotas the list is empty.",
      tag: "Plans and quotas",
      access: "user",
      responses: { 200: quotaView },
      handler: async ({ principal }) => ok(await quotaOf(principal)),
    }),
    route({
      method: "get",
      path: "/api/admin/users/:id/quota",
      summary: "A user's quotas and how they stand now",
      description: "Of the account. Without quotas the list is empty.",
      tag: "Plans and quotas",
      access: "operator",
      params: z.strictObject({ id: uuid }),
      responses: { 200: quotaView },
      handler: async ({ params }) => ok(await quotaOf({ userId: params.id })),
    }),
  ];
}
