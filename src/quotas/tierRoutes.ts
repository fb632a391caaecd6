import { z } from "zod";
import { recordAudit } from "../admin/audit.ts";
import { ok, route, type Route } from "../http/route.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { limitsOfAccounts, weights } from "./limitsSchema.ts";
import type { Limits, Weights } from "./tiers.ts";

const COMMON = { tag: "Plans and quotas", access: "operator" } as const;
const tierView = z.object({
  name: z.string(),
  position: z.number().int(),
  limits: z.looseObject({}),
  weights: z.record(z.string(), z.number()),
});

interface TierRow {
  name: string;
  position: number;
  limits: Limits;
  weights: Weights;
}

/** Operators' routes of tiers, with their limits and quotas. In force on every copy at once. */
export function tierRoutes({ pool }: { pool: Pool }): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/tiers",
      summary: "Tiers with their limits and quotas, lowest first",
      responses: { 200: z.object({ items: z.array(tierView) }) },
      handler: async () => {
        const { rows } = await pool.query<TierRow>("SELECT name, position, limits, weights FROM tiers ORDER BY position");
        return ok({ items: rows });
      },
    }),
    route({
      ...COMMON,
      method: "put",
      path: "/api/admin/tiers/:name",
      summary: "Set a tier's limits and quotas; a new tier is the highest",
      description:
        "What is sent takes the place of all of the tier's limits. What it leaves out is not limited; requests a minute and storage have defaults. " +
        "Weights stay as they are unless sent; a plan's go before them.",
      params: z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "must be a name such as pro") }),
      body: z.strictObject({ limits: limitsOfAccounts, weights: weights.optional() }),
      responses: { 200: tierView },
      handler: async ({ params, body, principal, traceId }) => {
        const row = await inTransaction(pool, async (tx) => {
          await tx.query("LOCK TABLE tiers IN SHARE ROW EXCLUSIVE MODE");
          const { rows } = await tx.query<TierRow>(
            `INSERT INTO tiers AS t (name, position, limits, weights)
             VALUES ($1, (SELECT coalesce(max(position), 0) + 1 FROM tiers), $2, coalesce($3, '{}'::jsonb))
             ON CONFLICT (name) DO UPDATE SET limits = excluded.limits, weights = coalesce($3, t.weights) RETURNING name, position, limits, weights`,
            [params.name, JSON.stringify(body.limits), body.weights === undefined ? null : JSON.stringify(body.weights)],
          );
          const details = { limits: rows[0]!.limits, weights: rows[0]!.weights };
          await recordAudit(tx, { actorId: principal.userId, action: "tier.put", target: `tier:${params.name}`, details, traceId });
          await announce(tx, "settings", "tiers");
          return rows[0]!;
        });
        return ok(row);
      },
    }),
  ];
}
