import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { findStatement, listStatements, type StatementRow } from "./repository.ts";

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

/** People's statements. */
export function statementRoutes({ pool }: { pool: Pool }): Route[] {
  return [
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
        const { items, total } = await listStatements(pool, principal.userId, page);
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
        const row = await findStatement(pool, principal.userId, BigInt(params.id));
        if (!row) throw appError("not_found", { message: "There is no such statement" });
        return ok(detail(row));
      },
    }),
  ];
}
