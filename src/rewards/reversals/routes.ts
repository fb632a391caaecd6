import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery, uuid } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import type { Pool } from "../../platform/postgres.ts";
import { REWARD_KINDS } from "../payouts.ts";
import { listReversals } from "./repository.ts";

const view = z.object({
  payment_id: z.string().meta({ description: "The reward's transfer" }),
  order_no: z.string().meta({ description: "The top-up that was refunded" }),
  kind: z.enum(REWARD_KINDS),
  user_id: z.string(),
  amount: creditsText.meta({ description: "What was paid" }),
  recovered: creditsText.meta({ description: "What was taken back of it" }),
  withheld: creditsText.meta({ description: "What was held back from later rewards of the same person instead" }),
  lost: creditsText.meta({ description: "The rest: spent or expired; while it is open, what running calls hold is among it" }),
  status: z.enum(["open", "ended"]).meta({ description: "`open`: running calls hold what is left of it, it is tried again every minute" }),
  created_at: isoTime,
  ended_at: isoTime.nullable(),
});

/** What became of rewards whose top-up was refunded, for operators. */
export function reversalRoutes({ pool }: { pool: Pool }): Route[] {
  return [
    route({
      method: "get",
      path: "/api/admin/rewards/reversals",
      summary: "Rewards taken back after a refund, newest first",
      tag: "Operators: rewards",
      access: "operator",
      query: z.strictObject({ ...pageQuery, user_id: uuid.optional(), order_no: z.string().max(64).optional() }),
      responses: { 200: pageOf(view) },
      handler: async ({ query }) => {
        const { page, page_size, user_id: userId, order_no: orderNo } = query;
        const { items, total } = await listReversals(pool, { userId, orderNo, page, page_size });
        return ok({
          items: items.map((row) => ({
            ...row,
            amount: formatCredits(row.amount),
            recovered: formatCredits(row.recovered),
            withheld: formatCredits(row.withheld),
            lost: formatCredits(row.amount - row.recovered - row.withheld),
            status: row.ended_at ? ("ended" as const) : ("open" as const),
            created_at: row.created_at.toISOString(),
            ended_at: row.ended_at?.toISOString() ?? null,
          })),
          total,
          page,
          page_size,
        });
      },
    }),
  ];
}
