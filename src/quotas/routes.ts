import { z } from "zod";
import type { Principal } from "../http/principal.ts";
import { ok, route, type Route } from "../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery, uuid } from "../http/schemas.ts";
import type { Budget, Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { formatDecimal } from "../platform/decimal.ts";
import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { presentAt, type SpendLimits } from "./budgets.ts";
import { presentSubscription } from "./plans/routes.ts";
import * as statements from "./statements/repository.ts";
import type { StatementRow } from "./statements/repository.ts";
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

const sums = {
  id: z.string(),
  starts_at: isoTime,
  ends_at: isoTime,
  plan: z.string(),
  opening: creditsText,
  credits: creditsText,
  consumption: creditsText,
  expiry: creditsText,
  other: creditsText.meta({ description: "What was taken otherwise, below zero: refunds, transfers, corrections" }),
  closing: creditsText,
  created_at: isoTime,
};
const statementView = z.object({
  ...sums,
  credits_by_source: z.array(z.object({ type: z.string(), source: z.string(), amount: creditsText })),
  consumption_by_model: z
    .array(z.object({ model: z.string().nullable(), requests: z.number(), failed: z.number(), tokens: z.number(), cost: creditsText }))
    .meta({ description: "Without a model: what was paid beyond the period's calls, or (below zero) is owed for them" }),
  other_by_type: z.array(z.object({ type: z.string(), amount: creditsText })),
});

const summary = (row: StatementRow) => ({
  id: row.id.toString(),
  starts_at: row.starts_at.toISOString(),
  ends_at: row.ends_at.toISOString(),
  plan: row.plan,
  opening: formatCredits(row.opening),
  credits: formatCredits(row.credits),
  consumption: formatCredits(row.consumption),
  expiry: formatCredits(row.expiry),
  other: formatCredits(row.other),
  closing: formatCredits(row.closing),
  created_at: row.created_at.toISOString(),
});
const credits = <T extends { amount: string }>(list: readonly T[]) =>
  list.map((one) => ({ ...one, amount: formatCredits(BigInt(one.amount)) }));

function detail(row: StatementRow) {
  return {
    ...summary(row),
    credits_by_source: credits(row.credits_by_source),
    consumption_by_model: row.consumption_by_model.map(({ model, requests, failed, tokens, cost }) => ({
      model,
      requests: Number(requests),
      failed: Number(failed),
      tokens: Number(tokens),
      cost: formatCredits(BigInt(cost)),
    })),
    other_by_type: credits(row.other_by_type),
  };
}

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

/** Quotas as they stand, for people and operators, and people's statements. */
export function quotaRoutes(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "spending">;
  subscriptions: Pick<Subscriptions, "of">;
  spendOf: (who: Asked) => Promise<SpendLimits | null>;
}): Route[] {
  const { pool, ledger, subscriptions, spendOf } = deps;

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
    route({
      method: "get",
      path: "/api/user/billing/statements",
      summary: "My statements, newest first",
      description: "One for each period that is over, written when the last call that began in it is charged.",
      tag: "Wallet",
      access: "user",
      query: z.strictObject(pageQuery),
      responses: { 200: pageOf(z.object(sums)) },
      handler: async ({ principal, query }) => {
        const page = { limit: query.page_size, offset: (query.page - 1) * query.page_size };
        const { items, total } = await statements.listStatements(pool, principal.userId, page);
        return ok({ items: items.map(summary), total, ...query });
      },
    }),
    route({
      method: "get",
      path: "/api/user/billing/statements/:id",
      summary: "One of my statements",
      tag: "Wallet",
      access: "user",
      params: z.strictObject({ id: z.string().regex(/^[1-9]\d{0,17}$/, "is not a statement's number") }),
      responses: { 200: statementView },
      handler: async ({ principal, params }) => {
        const row = await statements.findStatement(pool, principal.userId, BigInt(params.id));
        if (!row) throw appError("not_found", { message: "There is no such statement" });
        return ok(detail(row));
      },
    }),
  ];
}
