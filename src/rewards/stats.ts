import { z } from "zod";
import { ok, route, type Route } from "../http/route.ts";
import { creditsText, timeRange } from "../http/schemas.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import { REWARD_KINDS, type RewardKind } from "./payouts.ts";

interface Sum {
  day: string;
  kind: RewardKind;
  count: bigint;
  /** A sum of bigint is numeric, which arrives as text. */
  credits: string;
}

const kind = z.enum(REWARD_KINDS);
const sums = { kind, count: z.number().int(), credits: creditsText };
const statsView = z.object({
  by_kind: z.array(z.object(sums)),
  by_day: z.array(z.object({ day: z.string().meta({ description: "UTC", examples: ["2026-11-21"] }), ...sums })),
  reversed: z
    .object({ count: z.number().int(), credits: creditsText, recovered: creditsText, withheld: creditsText, lost: creditsText })
    .meta({
      description:
        "Rewards whose top-up was refunded in that time: what was paid, what was taken back of it, what was held back from later rewards until now, and the rest",
    }),
  held_referrals: z.number().int().meta({ description: "Referrals that wait for a decision, now" }),
});

const DEFAULT_DAYS = 30;
const DAY_MS = 86_400_000;

/** What was given away. */
export function rewardStatsRoutes({ pool }: { pool: Pool }): Route[] {
  return [
    route({
      method: "get",
      path: "/api/admin/rewards/stats",
      summary: "Rewards paid, by day and kind",
      description: "Of the last 30 days unless `from` says otherwise.",
      tag: "Operators: rewards",
      access: "operator",
      query: z.strictObject(timeRange),
      responses: { 200: statsView },
      handler: async ({ query }) => {
        const from = query.from ?? new Date(Date.now() - DEFAULT_DAYS * DAY_MS);
        const [days, held, reversed] = await Promise.all([
          pool.query<Sum>(
            `SELECT to_char(paid_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, kind, count(*) AS count, sum(amount)::text AS credits
             FROM reward_payments WHERE paid_at >= $1 AND ($2::timestamptz IS NULL OR paid_at < $2) GROUP BY 1, 2 ORDER BY 1, 2`,
            [from, query.to ?? null],
          ),
          pool.query<{ count: bigint }>("SELECT count(*) AS count FROM referrals WHERE status = 'held'"),
          pool.query<{ count: bigint; credits: string; recovered: string; withheld: string }>(
            `SELECT count(*) AS count, coalesce(sum(amount), 0)::text AS credits, coalesce(sum(recovered), 0)::text AS recovered,
               coalesce(sum(withheld), 0)::text AS withheld
             FROM reward_reversals WHERE created_at >= $1 AND ($2::timestamptz IS NULL OR created_at < $2)`,
            [from, query.to ?? null],
          ),
        ]);
        const byKind = REWARD_KINDS.map((name) => {
          const rows = days.rows.filter((row) => row.kind === name);
          return {
            kind: name,
            count: rows.reduce((sum, row) => sum + Number(row.count), 0),
            credits: formatCredits(rows.reduce((sum, row) => sum + BigInt(row.credits), 0n)),
          };
        });
        const taken = reversed.rows[0]!;
        return ok({
          by_kind: byKind,
          by_day: days.rows.map((row) => ({ ...row, count: Number(row.count), credits: formatCredits(BigInt(row.credits)) })),
          reversed: {
            count: Number(taken.count),
            credits: formatCredits(BigInt(taken.credits)),
            recovered: formatCredits(BigInt(taken.recovered)),
            withheld: formatCredits(BigInt(taken.withheld)),
            lost: formatCredits(BigInt(taken.credits) - BigInt(taken.recovered) - BigInt(taken.withheld)),
          },
          held_referrals: Number(held.rows[0]!.count),
        });
      },
    }),
  ];
}
