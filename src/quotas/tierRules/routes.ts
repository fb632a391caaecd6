import { z } from "zod";
import { recordAudit } from "../../admin/audit.ts";
import { ok, route, type Route } from "../../http/route.ts";
import { isoTime, pageOf, pageQuery, uuid } from "../../http/schemas.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool } from "../../platform/postgres.ts";
import type { Tiers } from "../tiers.ts";
import type { TierRules } from "./decide.ts";
import * as repository from "./repository.ts";
import type { DecisionRow, RulesRow } from "./repository.ts";
import type { TierReview } from "./review.ts";
import { tierRules } from "./schema.ts";

const COMMON = { tag: "Tier rules", access: "operator" } as const;
const reason = z.string().trim().min(1).max(500).optional();
const rulesView = z.object({
  version: z.number().int(),
  rules: z.looseObject({}),
  author_id: z.string().nullable(),
  reason: z.string().nullable(),
  created_at: isoTime,
});
const reasonView = z.object({ rule: z.string(), asked: z.string(), found: z.string(), met: z.boolean() });
const decisionView = z.object({
  id: z.string(),
  from_tier: z.string(),
  to_tier: z.string(),
  score: z.number().int(),
  reasons: z.array(reasonView),
  facts: z.looseObject({}),
  rules_version: z.number().int(),
  created_at: isoTime,
});
const prospectView = z.object({
  user_id: z.string(),
  tier: z.string(),
  score: z.number().int(),
  decision: z.object({ tier: z.string(), change: z.enum(["promoted", "demoted", "kept"]), reasons: z.array(reasonView) }).nullable(),
});

const presentRules = (row: RulesRow) => ({ ...row, created_at: row.created_at.toISOString() });
const presentDecision = ({ id, from_tier, to_tier, score, reasons, facts, rules_version, created_at }: DecisionRow) => ({
  id: id.toString(),
  from_tier,
  to_tier,
  score,
  reasons,
  facts,
  rules_version,
  created_at: created_at.toISOString(),
});

/** Rules of tiers for operators, and decisions for those they are about. */
export function tierRuleRoutes(deps: { pool: Pool; tiers: Pick<Tiers, "exists">; review: Pick<TierReview, "dryRun"> }): Route[] {
  const { pool, tiers, review } = deps;

  async function checkTiers({ levels }: TierRules): Promise<void> {
    for (const [n, { tier }] of levels.entries()) {
      if (!(await tiers.exists(tier))) throw fieldError(`rules.levels.${n}.tier`, "is not a tier");
    }
  }
  async function decisions(userId: string, query: { page: number; page_size: number }) {
    const page = { limit: query.page_size, offset: (query.page - 1) * query.page_size };
    const { items, total } = await repository.listDecisions(pool, userId, page);
    return ok({ items: items.map(presentDecision), total, ...query });
  }

  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/tier-rules",
      summary: "The rules in force",
      responses: { 200: rulesView },
      handler: async () => {
        const row = await repository.newestRules(pool);
        if (!row) throw appError("not_found", { message: "There are no rules yet" });
        return ok(presentRules(row));
      },
    }),
    route({
      ...COMMON,
      method: "put",
      path: "/api/admin/tier-rules",
      summary: "Set the rules by which tiers change by themselves",
      description:
        "A new version. Everybody is reviewed once a day: one level down when `stay` is not met, else one up when `enter` of the next level is. " +
        "A tier that an operator has set is left alone.",
      body: z.strictObject({ rules: tierRules, reason }),
      responses: { 200: rulesView },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) => {
        await checkTiers(body.rules);
        try {
          const row = await inTransaction(pool, async (tx) => {
            const made = await repository.insertRules(tx, body.rules, { authorId: principal.userId, reason: body.reason ?? null });
            const details = { version: made.version, rules: made.rules, reason: made.reason };
            await recordAudit(tx, { actorId: principal.userId, action: "tier_rules.put", target: "tier_rules", details, traceId });
            await announce(tx, "settings", "tiers");
            return made;
          });
          return ok(presentRules(row));
        } catch (error) {
          if (uniqueViolation(error))
            throw appError("conflict", { message: "Somebody else changed the rules at this moment", cause: error });
          throw error;
        }
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/tier-rules/dry-run",
      summary: "What rules would do, without doing it",
      description: "With the rules sent or, without, those in force; user by user, as many as asked. `next` goes into `after` for more.",
      body: z.strictObject({ rules: tierRules.optional(), after: uuid.optional(), limit: z.number().int().min(1).max(200).default(100) }),
      responses: { 200: z.object({ items: z.array(prospectView), next: z.string().nullable() }) },
      handler: async ({ body }) => {
        const rules = body.rules ?? (await repository.newestRules(pool))?.rules;
        if (!rules) throw fieldError("rules", "there are none in force: send some");
        await checkTiers(rules);
        const { items, next } = await review.dryRun(rules, body.after, body.limit);
        return ok({ items: items.map(({ userId, ...prospect }) => ({ user_id: userId, ...prospect })), next });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/users/:id/tier-decisions",
      summary: "How a user's tier changed by rules, newest first",
      params: z.strictObject({ id: uuid }),
      query: z.strictObject(pageQuery),
      responses: { 200: pageOf(decisionView) },
      handler: ({ params, query }) => decisions(params.id, query),
    }),
    route({
      tag: "Plans and quotas",
      access: "user",
      method: "get",
      path: "/api/user/tier-decisions",
      summary: "How my tier changed by rules, and why, newest first",
      query: z.strictObject(pageQuery),
      responses: { 200: pageOf(decisionView) },
      handler: ({ principal, query }) => decisions(principal.userId, query),
    }),
  ];
}
